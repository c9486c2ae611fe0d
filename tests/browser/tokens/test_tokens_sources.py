"""The tokens under a prompt box whose text or encoder comes from elsewhere."""

import pytest

from flux_duet.tests.browser.tokens.boxes import (
    CLIP,
    add,
    box,
    count,
    expect_count,
    set_widget,
    tip,
)

CONNECT = """([from, output, to, input]) => {
    const named = type => app.graph.nodes.find(node => (node.comfyClass ?? node.type) === type);
    named(from).connect(output, named(to), input);
}"""


def test_a_linked_text_is_read_where_it_is_visible(front):
    add(front, CLIP, "PrimitiveStringMultiline", "StringConcatenate")
    front.page.evaluate(CONNECT, ["PrimitiveStringMultiline", 0, CLIP, "text"])
    set_widget(front, "PrimitiveStringMultiline", "value", "a red fox")
    expect_count(front, "3 / 75 72 pads")
    front.page.evaluate(CONNECT, ["StringConcatenate", 0, CLIP, "text"])
    front.page.locator(".message").get_by_text("comes from another node").wait_for()
    assert count(front).inner_text() == ""
    front.page.evaluate("() => { const node = app.graph.nodes[0]; node.disconnectInput(node.findInputSlot('text')); }")
    expect_count(front, "0 / 75 75 pads")
    assert front.errors == []


LOADER = """([type, file, passing]) => {
    const loader = LiteGraph.createNode(type), encode = app.graph.nodes[0];
    app.graph.add(loader);
    const widget = loader.widgets.find(widget => widget.name.startsWith("clip_name"));
    widget.options.values = [file];
    widget.value = file;
    let last = loader;
    for (const type of passing) {
        const next = LiteGraph.createNode(type);
        app.graph.add(next);
        const input = type === "Reroute" ? 0 : "clip", output = type === "LoraLoader" ? 1 : 0;
        last.connect(0, next, input);
        last = { connect: (_, to, slot) => next.connect(output, to, slot) };
    }
    last.connect(0, encode, "clip");
}"""


@pytest.mark.parametrize("passing", [[], ["LoraLoader", "Reroute"]], ids=["straight", "passed on"])
def test_long_clip_is_known_by_its_loader_s_file(front, passing):
    add(front, CLIP)
    box(front).fill("word " * 80)
    expect_count(front, "80 / 75 5 cut")
    count(front).hover()
    assert "No CLIP is connected" in tip(front)
    front.page.evaluate(LOADER, ["DualCLIPLoader", "LongCLIP-L.safetensors", passing])
    expect_count(front, "80 / 246 166 pads")
    count(front).hover(position={"x": 2, "y": 2})
    front.page.mouse.move(0, 0)
    count(front).hover()
    assert "by its name, LongCLIP-L.safetensors is a Long-CLIP" in tip(front)
    assert front.errors == []


SUBGRAPH = """() => {
    app.canvas.selectItems(app.graph.nodes.filter(node => node.comfyClass === "FluxDuetClipEncode"));
    app.graph.convertToSubgraph(app.canvas.selectedItems);
}"""


def test_the_encoder_is_found_from_within_a_subgraph(front):
    add(front, CLIP)
    set_widget(front, CLIP, "text", "word " * 80)
    front.page.evaluate(LOADER, ["CLIPLoader", "long-clip.safetensors", []])
    front.page.evaluate(SUBGRAPH)
    found = front.page.evaluate("""async () => {
        const { clipPositions } = await import("/extensions/flux-duet/tokens/encoder.mjs");
        const host = app.graph.nodes.find(node => node.isSubgraphNode?.());
        return clipPositions(host.subgraph.nodes[0]);
    }""")
    assert found == {"positions": 248, "seen": "long", "file": "long-clip.safetensors"}
    assert front.errors == []
