"""One prompt for both streams: the link between two boxes, as a user clicks it and types."""

from flux_duet.tests.browser.waiting import becomes, undo_is_heard

ADD = """async ([types, links]) => {
    await app.loadGraphData({ version: 0.4, nodes: [], links: [], id: crypto.randomUUID() });
    for (const [index, type] of types.entries()) {
        const node = LiteGraph.createNode(type);
        node.pos = [100 + 420 * (index % 3), 60 + 380 * Math.floor(index / 3)];
        app.graph.add(node);
    }
    const nodes = app.graph._nodes_by_id;
    for (const [from, output, to, input] of links) nodes[from].connect(output, nodes[to], input);
}"""
FORGET = """() => {
    const tracker = app.extensionManager.workflow.activeWorkflow.changeTracker;
    tracker.captureCanvasState();
    tracker.undoQueue.length = 0;
}"""
PAIR = [["FluxDuetClipEncode", "FluxDuetT5Encode", "FluxDuetDualPrompt"], [[1, 0, 3, "vec"], [2, 0, 3, "txt"]]]
BUTTON = """id => app.graph.getNodeById(id).widgets.find(widget => widget.name === 'tokens')
    .element.shadowRoot.querySelector('.link')"""


def add(front, types, links):
    front.page.evaluate(ADD, [types, links])
    front.fit()
    front.still()
    front.page.evaluate(FORGET)


def button(front, node):
    return front.page.evaluate_handle(BUTTON, node).as_element()


def message_of(front, node):
    return button(front, node).get_attribute("aria-label")


def write(front, index, text):
    """Types into the index-th box from the left."""
    areas = front.page.locator("textarea:visible").all()
    sorted(areas, key=lambda area: area.bounding_box()["x"])[index].click()
    front.page.keyboard.press("Control+A")
    front.page.keyboard.type(text)


def texts(front):
    """The node's inputs in the prompt that would be sent, by the node's id."""
    return {node: one["inputs"]["text"] for node, one in front.to_api().items() if "text" in one["inputs"]}


def expect_word(front, node, word):
    front.page.wait_for_function(f"([id, word]) => ({BUTTON})(id).innerText === word", arg=[node, word])


def test_linked_boxes_say_the_same(front):
    add(front, *PAIR)
    write(front, 0, "a fox")
    assert texts(front) == {"1": "a fox", "2": ""}
    button(front, 1).click()
    for node in (1, 2):
        expect_word(front, node, "Linked")
    assert texts(front) == {"1": "a fox", "2": "a fox"}
    write(front, 1, "a red fox")
    assert texts(front) == {"1": "a red fox", "2": "a red fox"}
    assert [area.input_value() for area in front.page.locator("textarea:visible").all()] == ["a red fox"] * 2
    for count in ("3 / 75", "6 tokens"):  # T5's: a space, a, red, a space, fox, the end token
        front.page.locator(".count", has_text=count).wait_for()
    button(front, 2).click()
    write(front, 1, "two foxes")
    assert texts(front) == {"1": "a red fox", "2": "two foxes"}
    assert front.errors == []


def test_linking_is_one_step_of_undo(front):
    add(front, *PAIR)
    write(front, 0, "mood")
    write(front, 1, "a house by the sea")
    button(front, 1).click()
    expect_word(front, 2, "Linked")
    # Not by `texts`: an API prompt sorts the nodes again, which the front end records as an undo step.
    assert [area.input_value() for area in front.page.locator("textarea:visible").all()] == ["mood"] * 2
    front.page.mouse.click(900, 800)
    undo_is_heard(front)
    front.page.keyboard.press("Control+z")
    expect_word(front, 1, "Link prompts")
    assert front.page.evaluate("() => [1, 2].map(id => app.graph.getNodeById(id).widgets[0].value)") == [
        "mood",
        "a house by the sea",
    ]
    undo_is_heard(front)
    front.page.keyboard.press("Control+y")
    expect_word(front, 1, "Linked")
    assert texts(front) == {"1": "mood", "2": "mood"}
    assert front.errors == []


def test_unlinking_gives_the_second_text_back(front):
    add(front, *PAIR)
    write(front, 0, "mood")
    write(front, 1, "a house by the sea")
    button(front, 1).click()
    expect_word(front, 2, "Linked")
    assert "T5 Encode gets its own text back: a house by the sea" in message_of(front, 1)
    write(front, 1, "mood, at night")
    front.load(front.page.evaluate("() => app.graph.serialize()"))
    button(front, 2).click()
    expect_word(front, 1, "Link prompts")
    assert texts(front) == {"1": "mood, at night", "2": "a house by the sea"}
    assert "flux_duet" not in front.page.evaluate("() => JSON.stringify(app.graph.nodes.map(node => node.properties))")
    assert front.errors == []


def test_linked_boxes_draw_the_same_wildcard(front):
    add(front, *PAIR)
    write(front, 0, "{one|two|three|four|five|six}")
    button(front, 1).click()
    expect_word(front, 2, "Linked")
    sent = [texts(front) for _ in range(8)]
    assert all(each["1"] == each["2"] for each in sent)
    assert len({each["1"] for each in sent}) > 1
    assert front.errors == []


def test_a_workflow_keeps_the_link(front):
    add(front, *PAIR)
    write(front, 0, "a fox")
    button(front, 1).click()
    front.load(front.page.evaluate("() => app.graph.serialize()"))
    expect_word(front, 2, "Linked")
    write(front, 1, "a bear")
    assert texts(front) == {"1": "a bear", "2": "a bear"}
    assert front.errors == []


def test_loading_a_workflow_writes_no_text_into_another(front):
    """Two texts that differ in the file stay unchanged, and typing in one box does not delete the other's text."""
    add(front, *PAIR)
    button(front, 1).click()
    front.page.evaluate("""async () => {
        const saved = JSON.parse(JSON.stringify(app.graph.serialize()));
        for (const node of saved.nodes) if (node.type.endsWith("Encode")) node.widgets_values[0] = `text ${node.id}`;
        await app.loadGraphData(saved);
    }""")
    front.still()
    assert texts(front) == {"1": "text 1", "2": "text 2"}
    write(front, 0, "new")
    assert texts(front) == {"1": "new", "2": "text 2"}
    expect_word(front, 1, "Link prompts")
    assert front.errors == []


BLENDED = [
    ["FluxDuetClipEncode", "FluxDuetT5Encode", "FluxDuetDualPrompt", "FluxDuetClipEncode", "FluxDuetBlendVec"],
    [[1, 0, 5, 0], [4, 0, 5, 1], [5, 0, 3, "vec"], [2, 0, 3, "txt"]],
]
REROUTED = [
    ["FluxDuetClipEncode", "FluxDuetT5Encode", "FluxDuetDualPrompt", "Reroute"],
    [[1, 0, 4, 0], [4, 0, 3, "vec"], [2, 0, 3, "txt"]],
]


def test_a_pair_that_is_not_clear_is_not_offered(front):
    add(front, *BLENDED)
    for node in (1, 2, 4):
        assert "Prompts are blended or shared" in message_of(front, node)
    button(front, 1).evaluate("button => button.click()")
    write(front, 2, "a fox")
    assert sorted(texts(front).values()) == ["", "", "a fox"]
    front.page.evaluate("() => app.graph.remove(app.graph.getNodeById(4))")
    front.page.mouse.click(900, 850)
    expect_word(front, 1, "Link prompts")
    assert front.errors == []


def test_what_is_missing_is_reported(front):
    add(front, ["FluxDuetClipEncode", "FluxDuetDualPrompt"], [])
    assert "does not go to a Dual Prompt" in message_of(front, 1)
    front.page.evaluate("() => app.graph.getNodeById(1).connect(0, app.graph.getNodeById(2), 0)")
    front.page.wait_for_function(f"() => ({BUTTON})(1).ariaLabel.includes('Dual Prompt has no encode node')")
    button(front, 1).hover()
    assert "Dual Prompt has no encode node" in front.page.locator(".tip:popover-open").inner_text()
    assert front.errors == []


def test_a_pair_is_found_through_a_reroute_and_into_a_subgraph(front):
    add(front, *REROUTED)
    expect_word(front, 1, "Link prompts")
    front.page.evaluate("""() => {
        app.canvas.selectItems([app.graph.getNodeById(2)]);
        app.graph.convertToSubgraph(app.canvas.selectedItems);
    }""")
    expect_word(front, 1, "Link prompts")
    write(front, 0, "a fox")
    button(front, 1).click()
    expect_word(front, 1, "Linked")
    assert sorted(texts(front).values()) == ["a fox", "a fox"]
    assert front.errors == []


def test_a_prompt_from_a_link_is_not_written(front):
    add(front, [*PAIR[0], "PrimitiveStringMultiline"], [*PAIR[1], [4, 0, 2, "text"]])
    assert "comes from another node" in message_of(front, 1)
    assert front.errors == []


def test_a_copied_pair_is_a_pair_of_its_own(front):
    add(front, *PAIR)
    write(front, 0, "a fox")
    button(front, 1).click()
    front.page.evaluate("""() => {
        app.canvas.selectItems(app.graph.nodes);
        app.canvas.copyToClipboard();
        app.canvas.pasteFromClipboard();
    }""")
    becomes(front, lambda: sorted(texts(front).values()), ["a fox"] * 4)
    front.page.evaluate("""() => {
        const copy = app.graph.nodes.filter(node => node.comfyClass === "FluxDuetT5Encode").at(-1);
        const text = copy.widgets.find(widget => widget.name === "text");
        text.value = "a bear";
        text.callback?.("a bear");
    }""")
    assert sorted(texts(front).values()) == ["a bear", "a bear", "a fox", "a fox"]
    assert front.errors == []
