"""`dev.py run devtools.screenshot [NAME ...]`: the pictures of the shipped workflows, run and photographed in the front
end; of all of them unless some are named.

    workflows/NAME.jpg    what ComfyUI's template browser shows for workflows/NAME.json
    images/graph.png      the dual-prompt workflow, for docs/stages.md
"""

import io
import json
import sys
from pathlib import Path

from PIL import Image

from . import ROOT, SetupError, browser, front_end, say
from .front_end import FrontEnd
from .layout import untidy
from .server import Server

README, THUMBNAIL = 1600, 600  # their widths in pixels
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


def save(picture: Image.Image, workflow: Path) -> None:
    small = picture.resize((THUMBNAIL, round(THUMBNAIL * picture.height / picture.width)), Image.Resampling.LANCZOS)
    small.save(workflow.with_suffix(".jpg"), quality=88, optimize=True)
    if workflow.stem == "dual_prompt":
        target = ROOT / "images" / "graph.png"
        target.parent.mkdir(exist_ok=True)
        picture.save(target, optimize=True)


def chosen(names: list[str]) -> list[Path]:
    shipped = sorted((ROOT / "workflows").glob("*.json"))
    if unknown := set(names) - {path.stem for path in shipped}:
        raise SetupError(
            f"no workflow is called {', '.join(sorted(unknown))}; there are {', '.join(path.stem for path in shipped)}"
        )
    return [path for path in shipped if not names or path.stem in names]


def main() -> None:
    workflows = chosen(sys.argv[1:])
    path = browser.find()
    if path is None:
        raise SetupError(f"no browser: {browser.HOW_TO}")
    with Server() as server, front_end.browser(path) as started:
        # With Vue nodes, which enlarge small pictures.
        front = FrontEnd(started, server, vue=True, width=README + 2 * LEFT, height=HEIGHT)
        for setting, value in SETTINGS.items():
            front.set(setting, value)
        for workflow in workflows:
            say(f"{workflow.stem} ...")
            save(photograph(front, workflow), workflow)


if __name__ == "__main__":
    main()
