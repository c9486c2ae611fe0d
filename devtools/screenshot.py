"""`dev.py run devtools.screenshot`: the pictures of the shipped workflows, each run and photographed in the front end.

    workflows/NAME.jpg    what ComfyUI's template browser shows for workflows/NAME.json
    images/graph.png      the dual-prompt workflow, for README
"""

import io
import json
from pathlib import Path

from PIL import Image

from . import ROOT, SetupError, browser, front_end, say
from .front_end import FrontEnd
from .server import Server

README, THUMBNAIL = 1600, 600  # their widths in pixels
MARGIN = 24
# Where nothing of the front end lies over the graph: right of the side bar, below tabs and buttons.
LEFT, TOP = 90, 130
SETTINGS = {
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Graph.CanvasMenu": False,
    "Comfy.TextareaWidget.FontSize": 16,  # the prompts are what the picture is about
}
# The rectangle around all nodes and groups, in the graph's own units.
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
PICTURES = """() => [...document.querySelectorAll("[data-testid='main-image']")]
    .some(image => image.complete && image.naturalWidth)"""


def photograph(front: FrontEnd, workflow: Path) -> Image.Image:
    """Run a workflow and take the whole graph, README's width, with the picture on its node."""
    front.load(workflow)
    kind, detail = front.queue()
    if kind != "execution_success":
        raise SetupError(f"{workflow.name} did not run: {kind} {json.dumps(detail)[:500]}")
    front.fit()
    front.page.wait_for_function(PICTURES)
    x, y, width, height = front.page.evaluate(BOUNDS)
    scale = (README - 2 * MARGIN) / width
    front.page.evaluate(PLACE, [scale, (LEFT + MARGIN) / scale - x, (TOP + MARGIN) / scale - y])
    front.page.wait_for_timeout(6000)  # until the notices of the run are gone
    clip = {"x": LEFT, "y": TOP, "width": README, "height": round(scale * height) + 2 * MARGIN}
    return Image.open(io.BytesIO(front.page.screenshot(clip=clip))).convert("RGB")


def save(picture: Image.Image, workflow: Path) -> None:
    small = picture.resize((THUMBNAIL, round(THUMBNAIL * picture.height / picture.width)), Image.Resampling.LANCZOS)
    small.save(workflow.with_suffix(".jpg"), quality=88, optimize=True)
    if workflow.stem == "dual_prompt":
        target = ROOT / "images" / "graph.png"
        target.parent.mkdir(exist_ok=True)
        picture.save(target, optimize=True)


def main() -> None:
    path = browser.find()
    if path is None:
        raise SetupError(f"no browser: {browser.HOW_TO}")
    with Server() as server, front_end.browser(path) as started:
        # The Vue nodes, which draw a small picture large.
        front = FrontEnd(started, server, vue=True, width=README + 2 * LEFT, height=1100)
        for setting, value in SETTINGS.items():
            front.set(setting, value)
        for workflow in sorted((ROOT / "workflows").glob("*.json")):
            say(f"{workflow.stem} ...")
            save(photograph(front, workflow), workflow)


if __name__ == "__main__":
    main()
