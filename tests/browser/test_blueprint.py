"""The subgraph blueprint: the front end offers it, opens completely, and gives the dual-prompt workflow's picture."""

import io
from pathlib import Path
from urllib.parse import urlencode

import numpy
import pytest
from PIL import Image

from flux_duet.devtools.templates.basics import SCENE, THINGS
from flux_duet.tests.browser.shipped import shipped

ROOT = Path(__file__).parents[2]
(BLUEPRINT,) = (ROOT / "subgraphs").glob("*.json")
INSIDE = """() => {
    const [outer] = app.graph.nodes;
    return [outer.title, outer.widgets.map(widget => [widget.name, widget.value]),
        outer.subgraph.nodes.filter(node => node.has_errors || !node.constructor.nodeData).map(node => node.type)];
}"""
SAVE = """([clip, t5]) => {
    const [outer] = app.graph.nodes;
    const texts = outer.widgets.filter(widget => /prompt/.test(widget.label ?? widget.name));
    for (const [widget, text] of [[texts[0], clip], [texts[1], t5]]) {
        widget.value = text;
        widget.callback?.(text);
    }
    const save = LiteGraph.createNode("SaveImage");
    app.graph.add(save);
    outer.connect(0, save, 0);
    return texts.length;
}"""


@pytest.fixture
def opened(front):
    front.load(BLUEPRINT)
    return front


def picture(server, detail: dict) -> numpy.ndarray:
    outputs = server.get(f"/history/{detail['prompt_id']}")[detail["prompt_id"]]["outputs"]
    (file,) = [image for output in outputs.values() for image in output.get("images", []) if image["type"] == "output"]
    return numpy.asarray(Image.open(io.BytesIO(server.get(f"/view?{urlencode(file)}"))))


def test_the_front_end_offers_it(front):
    offered = front.server.get("/global_subgraphs")
    assert [each["name"] for each in offered.values() if each["source"] == "custom_node"] == [BLUEPRINT.stem]


def test_it_opens_whole_with_everything_that_is_changed_on_the_outside(opened):
    title, widgets, missing = opened.page.evaluate(INSIDE)
    assert title == BLUEPRINT.stem and missing == []
    values = dict(widgets)
    assert values["unet_name"] == "nano_flux.safetensors" and values["guidance"] == 3.5
    assert {"width", "height", "seed", "steps", "clip_name", "t5_name", "vae_name"} <= values.keys()
    assert opened.errors == []


SEED = "() => app.graph.nodes[0].widgets.find(widget => widget.name === 'seed').value"
SHOWN = """() => {
    const [outer] = app.graph.nodes;
    const boxes = outer.widgets.filter(widget => widget.element instanceof HTMLTextAreaElement);
    return [app.graph.serialize().nodes[0].properties, boxes.map(box => box.element.dataset.fluxDuetLabel)];
}"""


def test_it_runs_alone_with_its_picture_and_prompts_named_and_takes_another_seed(opened):
    properties, labels = opened.page.evaluate(SHOWN)
    assert len(properties["previewExposures"]) == 1
    assert not {"proxyWidgets", "proxyWidgetErrorQuarantine"} & properties.keys()
    assert labels == ["CLIP prompt", "T5 prompt"]
    seed = opened.page.evaluate(SEED)
    kind, detail = opened.queue()
    assert kind == "execution_success", detail
    assert opened.page.evaluate(SEED) != seed
    assert opened.errors == []


def test_its_picture_is_the_dual_prompt_workflow_s(opened):
    assert opened.page.evaluate(SAVE, [SCENE, THINGS]) == 2
    kind, detail = opened.queue()
    assert kind == "execution_success", detail
    ours = picture(opened.server, detail)
    opened.load(shipped("dual_prompt"))
    kind, detail = opened.queue()
    assert kind == "execution_success", detail
    assert numpy.array_equal(ours, picture(opened.server, detail))
    assert opened.errors == []
