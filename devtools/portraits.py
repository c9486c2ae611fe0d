"""`dev.py run devtools.portraits [ID ...]`: a picture of every node for its help page, js/docs/images/nodes/ID.jpg.

Each node is photographed in the first shipped workflow that has it, after a run, with what it then shows; a node that
no workflow has is photographed new.
"""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from . import ROOT, SetupError, browser, front_end, say
from .front_end import FrontEnd
from .screenshot import SETTINGS
from .server import Server

FOLDER, WORKFLOWS = ROOT / "js" / "docs" / "images" / "nodes", ROOT / "workflows"
WINDOW = (1300, 1500)
LEFT, TOP = 120, 150  # where no part of the front end covers the graph
WIDEST, MARGIN = 640, 12  # a picture's width, and the margin around the node, in pixels
LOOK_AT = """([id, left, top]) => {
    const node = app.graph.getNodeById(id), { ds } = app.canvas;
    ds.scale = 1;
    ds.offset = [left - node.pos[0], top - node.pos[1]];
    app.canvas.setDirty(true, true);
}"""
NEW = """type => {
    app.graph.clear();
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    return node.id;
}"""


def workflows() -> list[Path]:
    """The workflows, in the order of their names: the simplest first."""
    return sorted(WORKFLOWS.glob("*.json"))


def nodes_of(path: Path) -> dict[str, int]:
    """The first node of each type: its number."""
    found: dict[str, int] = {}
    for node in json.loads(path.read_text(encoding="utf-8"))["nodes"]:
        found.setdefault(node["type"], node["id"])
    return found


def plan(wanted: list[str]) -> Iterator[tuple[Path | None, dict[str, int]]]:
    """(workflow, the nodes to take pictures of in it); at last None, for nodes that are in no workflow."""
    left = dict.fromkeys(wanted)
    for path in workflows():
        here = {kind: number for kind, number in nodes_of(path).items() if kind in left}
        for kind in here:
            del left[kind]
        if here:
            yield path, here
    yield None, dict.fromkeys(left, 0)


def photograph(front: FrontEnd, node: int | str) -> Image.Image:
    front.page.evaluate(LOOK_AT, [node, LEFT, TOP])
    front.page.wait_for_timeout(1500)
    box = front.page.locator(f"[data-node-id='{node}']").bounding_box()
    if box["y"] + box["height"] > WINDOW[1]:
        raise SetupError(f"node {node} is {box['height']:.0f} pixels tall, more than the window has room for")
    clip = {
        "x": box["x"] - MARGIN,
        "y": box["y"] - MARGIN,
        "width": box["width"] + 2 * MARGIN,
        "height": box["height"] + 2 * MARGIN,
    }
    picture = Image.open(io.BytesIO(front.page.screenshot(clip=clip))).convert("RGB")
    share = min(1, WIDEST / picture.width)
    return picture.resize([round(side * share) for side in picture.size], Image.Resampling.LANCZOS)


def portraits(front: FrontEnd, path: Path | None, nodes: dict[str, int]) -> Iterator[tuple[str, Image.Image]]:
    if path is not None:
        front.load(path)
        kind, detail = front.queue()
        if kind != "execution_success":
            raise SetupError(f"{path.name} did not run: {kind} {json.dumps(detail)[:500]}")
        front.page.wait_for_timeout(6000)  # until pictures are loaded and notifications have disappeared
    for kind, number in nodes.items():
        yield kind, photograph(front, front.page.evaluate(NEW, kind) if path is None else number)


def main() -> None:
    path = browser.find()
    if path is None:
        raise SetupError(f"no browser: {browser.HOW_TO}")
    wanted = sys.argv[1:] or sorted(page.stem for page in (ROOT / "js" / "docs").glob("*.md"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Server() as server, front_end.browser(path) as started:
        front = FrontEnd(started, server, vue=True, width=WINDOW[0], height=WINDOW[1])
        for setting, value in SETTINGS.items():
            front.set(setting, value)
        for workflow, nodes in plan(wanted):
            for kind, picture in portraits(front, workflow, nodes):
                say(f"{kind} ({workflow.stem if workflow else 'new'})")
                picture.save(FOLDER / f"{kind}.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main()
