"""The two streams' colours: on sockets, links and nodes, in every colour palette."""

import pytest

CLIP, T5 = "#3f789e", "#ad6433"
COLOURS = """type => [
    app.canvas.default_connection_color_byType[type],
    app.canvas.constructor.link_type_colors[type],
    document.documentElement.style.getPropertyValue(`--color-datatype-${type}`),
]"""
ADD = """type => {
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    return [node.color, node.bgcolor];
}"""


@pytest.mark.parametrize("palette", ["light", "dark"])
def test_links_keep_their_stream_s_colour_whatever_the_palette(front, palette):
    front.set("Comfy.ColorPalette", palette)
    for kind, hue in (("FLUX_VEC", CLIP), ("FLUX_TXT", T5)):
        front.page.wait_for_function(
            f"([type, hue]) => ({COLOURS})(type).every(found => found === hue)", arg=[kind, hue]
        )
    # The front end's own types have the palette's colours.
    assert front.page.evaluate(COLOURS, "CLIP")[0] not in (CLIP, T5)
    front.set("Comfy.ColorPalette", "dark")
    assert front.errors == []


def test_a_new_node_has_its_stream_s_colour(front):
    clip, t5 = (front.page.evaluate(ADD, f"Flux{name}") for name in ("DuetClipEncode", "DuetT5Encode"))
    assert None not in (*clip, *t5) and clip != t5
    assert front.page.evaluate(ADD, "FluxDuetDualPrompt") == [None, None]  # the node that joins both streams


def test_a_colour_that_was_chosen_stays(front):
    front.page.evaluate(ADD, "FluxDuetT5Encode")
    saved = front.page.evaluate("""() => {
        app.graph.nodes[0].color = "#123456";
        return app.graph.serialize();
    }""")
    front.load(saved)
    assert front.page.evaluate("() => app.graph.nodes[0].color") == "#123456"
    assert front.errors == []
