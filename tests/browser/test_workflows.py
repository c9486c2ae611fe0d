"""The shipped workflows in the real front end: they open whole, export what workflows/api/ holds, give their pictures
and stay tidy.

FLUX_DUET_UPDATE=1 writes workflows/api/ anew from what the front end exports.
"""

import io
import json
import os
from pathlib import Path
from urllib.parse import urlencode

import pytest
from PIL import Image

from flux_duet.devtools.layout import untidy
from flux_duet.devtools.templates import NAMES
from flux_duet.devtools.templates.layout import READABLE, WINDOW

WORKFLOWS = Path(__file__).parents[2] / "workflows"
SHIPPED = sorted(WORKFLOWS.glob("*.json"))
SLUGS = {name: slug for slug, name in NAMES.items()}  # the names of the API files
# Opens a workflow as ComfyUI's template page does.
OPEN = """async ([workflow, name]) => {
    await app.loadGraphData(workflow, true, true, name, { openSource: "template" });
    return app.canvas.ds.scale;
}"""
# The pictures of a node: LiteGraph's canvas and the Vue nodes both load them.
PICTURES = """id => app.graph.getNodeById(id).imgs?.filter(image => image.complete && image.naturalWidth)
    .map(image => [image.naturalWidth, image.naturalHeight])"""


def parsed(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def slug(path: Path) -> str:
    return SLUGS.get(path.stem, path.stem)


def pictured(prompt: dict) -> list[str]:
    """The native nodes that show pictures; ours show them in panels, which have tests of their own."""
    return [node for node, data in prompt.items() if data["class_type"] in ("SaveImage", "PreviewImage")]


def size(server, file: dict) -> list[int]:
    return list(Image.open(io.BytesIO(server.get(f"/view?{urlencode(file)}"))).size)


@pytest.fixture(params=SHIPPED, ids=lambda path: slug(path))
def path(request) -> Path:
    return request.param


def test_it_opens_whole_and_exports_the_api_file(front, path):
    front.load(path)
    assert front.missing() == []
    exported = front.to_api()
    api = WORKFLOWS / "api" / f"{slug(path)}.json"
    if os.environ.get("FLUX_DUET_UPDATE"):
        api.write_text(json.dumps(exported, indent=2) + "\n", encoding="utf-8")
    assert exported == parsed(api)
    assert front.errors == []


def test_saved_and_opened_again_it_is_the_same(front, path):
    front.load(path)
    exported, saved = front.to_api(), front.page.evaluate("() => app.graph.serialize()")
    assert len(exported) > 1
    front.load(saved)
    assert front.to_api() == exported
    assert front.page.evaluate("() => app.graph.serialize()") == saved


def test_run_puts_each_picture_on_its_node_and_nothing_over_anything(front, path, tmp_path):
    front.load(path)
    nodes = pictured(front.to_api())
    kind, detail = front.queue()
    assert kind == "execution_success", detail
    front.fit()  # the picture of a node outside of the view is not loaded
    outputs = front.server.get(f"/history/{detail['prompt_id']}")[detail["prompt_id"]]["outputs"]
    assert any(output.get("images") for output in outputs.values())
    for node in nodes:
        front.page.wait_for_function(f"id => ({PICTURES})(id)?.length", arg=node)
        (file,) = outputs[node]["images"]
        assert front.page.evaluate(PICTURES, node) == [size(front.server, file)]
    front.screenshot(tmp_path / f"{slug(path)}.png")  # to look at: pytest keeps the last three runs' folders
    assert untidy(front) == []  # nodes that show a message have grown
    assert front.errors == []


def test_what_is_described_opens_with_its_text_readable(_page, comfy_server):
    """LiteGraph draws no text below a scale of about 0.6."""
    front = _page(False)
    comfy_server.post("/settings", {"Comfy.VueNodes.Enabled": False})
    before, (width, height) = front.page.viewport_size, WINDOW
    front.page.set_viewport_size({"width": width, "height": height})
    try:
        front.page.wait_for_function("width => app.canvas.canvas.width === width", arg=width)
        described = [path for path in SHIPPED if path.stem in SLUGS]
        scales = {path.stem: front.page.evaluate(OPEN, [parsed(path), path.stem]) for path in described}
    finally:
        front.page.set_viewport_size(before)
    assert {name: scale for name, scale in scales.items() if scale < READABLE} == {}
