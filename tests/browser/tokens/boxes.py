"""Prompt boxes in the front end, and the chips under them."""

CLIP, T5 = "FluxDuetClipEncode", "FluxDuetT5Encode"
# A graph with a unique id, since the front end stores values by it.
ADD = """async types => {
    await app.loadGraphData({ version: 0.4, nodes: [], links: [], id: crypto.randomUUID() });
    for (const [index, type] of types.entries()) {
        const node = LiteGraph.createNode(type);
        node.pos = [100 + 440 * index, 100];
        app.graph.add(node);
    }
    await new Promise(done => requestAnimationFrame(done));
}"""
SET = """([type, name, value]) => {
    const widget = app.graph.nodes.find(node => node.comfyClass === type).widgets.find(one => one.name === name);
    widget.value = value;
    widget.callback?.(value);
}"""


def add(front, *types):
    front.page.evaluate(ADD, list(types))
    front.fit()


def set_widget(front, kind, name, value):
    front.page.evaluate(SET, [kind, name, value])


def box(front, index=0):
    return front.page.locator("textarea:visible").nth(index)


def count(front, index=0):
    return front.page.locator(".count").nth(index)


def expect_count(front, text, index=0):
    front.page.wait_for_function(
        "([text, index]) => panels()[index]?.querySelector('.count').innerText.replace(/\\s+/g, ' ') === text".replace(
            "panels()", PANELS
        ),
        arg=[text, index],
    )


# The panels' shadow roots in the order of their nodes.
PANELS = """app.graph.nodes.flatMap(node => node.widgets ?? []).filter(widget => widget.name === 'tokens')
    .map(widget => widget.element.shadowRoot)"""


def tip(front):
    return front.page.locator(".tip:popover-open").inner_text()
