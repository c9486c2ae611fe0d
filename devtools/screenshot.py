"""`dev.py run devtools.screenshot [SLUG ...]`: shipped workflows, run and photographed in the front end.

images/graph.png    the dual-prompt workflow, for docs/stages.md, unless others are named
FOLDER/SLUG.png     each one that is named, with `--to FOLDER`, to look at
"""

import argparse
import io
import json
from pathlib import Path

from PIL import Image

from . import ROOT, SetupError, browser, front_end, say
from .front_end import FrontEnd
from .layout import untidy
from .server import Server
from .templates import NAMES

README = 1600  # its width in pixels
MARGIN, HEIGHT = 24, 1100  # the window's height while a workflow runs
# Where no part of the front end covers the graph: right of the side bar, below tabs and buttons.
LEFT, TOP = 90, 130
SETTINGS = {
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Graph.CanvasMenu": False,
    "Comfy.TextareaWidget.FontSize": 16,  # so that the prompts are readable
}
# The bounding box of all nodes and groups, in the graph's units.
BOUNDS = """() => {
    const rects = [...app.graph.nodes, ...app.graph.groups].map(item => item.boundingRect);
    const [x, y] = [0, 1].map(axis => Math.min(...rects.map(rect => rect[axis])));
    const [right, bottom] = [0, 1].map(axis => Math.max(...rects.map(rect => rect[axis] + rect[axis + 2])));
    return [x, y, right - x, bottom - y];
}"""
PLACE = """([scale, x, y]) => {
    app.canvas.ds.scale = scale;
    app.canvas.ds.offset = [x, y];
    app.canvas.setDirty(true, true);
}"""
# Whether every node that shows pictures has them.
PICTURES = """() => {
    const wanted = app.graph.nodes.filter(node => ["SaveImage", "PreviewImage"].includes(node.type)).length;
    const shown = [...document.querySelectorAll("[data-testid='main-image']")];
    return shown.filter(image => image.complete && image.naturalWidth).length >= wanted;
}"""


def resize(front: FrontEnd, height: int) -> None:
    front.page.set_viewport_size({"width": README + 2 * LEFT, "height": height})


def photograph(front: FrontEnd, workflow: Path) -> Image.Image:
    """Runs a workflow and takes a picture of the whole graph, in README's width, with the results on their nodes."""
    resize(front, HEIGHT)
    front.load(workflow)
    kind, detail = front.queue()
    if kind != "execution_success":
        raise SetupError(f"{workflow.name} did not run: {kind} {json.dumps(detail)[:500]}")
    front.fit()
    front.page.wait_for_function(PICTURES)
    if faults := untidy(front):
        raise SetupError(f"{workflow.name} is not tidy: {'; '.join(faults)}")
    x, y, width, height = front.page.evaluate(BOUNDS)
    scale = (README - 2 * MARGIN) / width
    clip = {"x": LEFT, "y": TOP, "width": README, "height": round(scale * height) + 2 * MARGIN}
    resize(front, max(HEIGHT, TOP + clip["height"]))
    front.page.wait_for_timeout(6000)  # until the view does not move and notifications have disappeared
    front.page.evaluate(PLACE, [scale, (LEFT + MARGIN) / scale - x, (TOP + MARGIN) / scale - y])
    front.page.wait_for_timeout(1000)
    return Image.open(io.BytesIO(front.page.screenshot(clip=clip))).convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py run devtools.screenshot", description=__doc__.splitlines()[0])
    parser.add_argument("slugs", metavar="SLUG", nargs="*", help=", ".join(NAMES))
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where the pictures of named workflows go")
    options = parser.parse_args()
    if bool(options.slugs) != bool(options.to) or set(options.slugs) - set(NAMES):
        parser.error(f"name workflows of {', '.join(NAMES)} together with --to, or neither")
    targets = {slug: options.to / f"{slug}.png" for slug in options.slugs}
    targets = targets or {"dual_prompt": ROOT / "images" / "graph.png"}
    path = browser.find()
    if path is None:
        raise SetupError(f"no browser: {browser.HOW_TO}")
    with Server() as server, front_end.browser(path) as started:
        # With Vue nodes, which enlarge small pictures.
        front = FrontEnd(started, server, vue=True, width=README + 2 * LEFT, height=HEIGHT)
        for setting, value in SETTINGS.items():
            front.set(setting, value)
        for slug, target in targets.items():
            say(f"{slug} ...")
            target.parent.mkdir(parents=True, exist_ok=True)
            photograph(front, ROOT / "workflows" / f"{NAMES[slug]}.json").save(target, optimize=True)


if __name__ == "__main__":
    main()
