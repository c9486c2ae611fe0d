"""The shipped workflows in the real front end: they open whole, export what workflows/api/ holds, and give a picture.

FLUX_DUET_UPDATE=1 writes workflows/api/ anew from what the front end exports.
"""

import json
import os
from pathlib import Path

import pytest

WORKFLOWS = Path(__file__).parents[2] / "workflows"
SHIPPED = sorted(WORKFLOWS.glob("*.json"))
# The pictures that hang on a node: LiteGraph's canvas and the Vue nodes both load them.
PICTURES = """id => app.graph.getNodeById(id).imgs?.filter(image => image.complete && image.naturalWidth)
    .map(image => [image.naturalWidth, image.naturalHeight])"""


def parsed(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def one(prompt: dict, kind: str) -> str:
    (node,) = [node for node, data in prompt.items() if data["class_type"] == kind]
    return node


@pytest.fixture(params=SHIPPED, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


def test_it_opens_whole_and_exports_the_api_file(front, path):
    front.load(path)
    assert front.missing() == []
    exported = front.to_api()
    api = WORKFLOWS / "api" / path.name
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


def test_run_puts_the_picture_on_its_node(front, path, tmp_path):
    front.load(path)
    prompt = front.to_api()
    save, size = one(prompt, "SaveImage"), prompt[one(prompt, "EmptySD3LatentImage")]["inputs"]
    kind, detail = front.queue()
    assert kind == "execution_success", detail
    front.fit()  # the picture of a node that is out of sight is not loaded
    front.page.wait_for_function(f"id => ({PICTURES})(id)?.length", arg=save)
    front.screenshot(tmp_path / f"{path.stem}.png")  # to look at: pytest keeps the last three runs' folders
    assert front.page.evaluate(PICTURES, save) == [[size["width"], size["height"]]]
    output = front.server.get(f"/history/{detail['prompt_id']}")[detail["prompt_id"]]["outputs"]
    assert [len(images) for images in output[save].values()] == [1]
    assert front.errors == []
