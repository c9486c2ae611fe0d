"""The tokens under a prompt box, as a user sees them while typing."""

import re

import pytest

from flux_duet.tests.browser.waiting import becomes, followed, undo_is_heard

CLIP, T5 = "FluxDuetClipEncode", "FluxDuetT5Encode"
# A graph with an id of its own: the front end remembers values by it.
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
CONNECT = """([from, output, to, input]) => {
    const named = type => app.graph.nodes.find(node => (node.comfyClass ?? node.type) === type);
    named(from).connect(output, named(to), input);
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


def chips(front, kinds="token", index=0):
    """The texts of the chips of these kinds, struck ones in brackets."""
    script = f"""([kinds, index]) => [...({PANELS})[index].querySelectorAll('.chip')]
        .filter(chip => kinds.split(' ').includes(chip.dataset.kind))
        .map(chip => 'cut' in chip.dataset ? `[${{chip.innerText}}]` : chip.innerText)"""
    return front.page.evaluate(script, [kinds, index])


def tip(front):
    return front.page.locator(".tip:popover-open").inner_text()


def test_chips_follow_what_is_typed(front):
    add(front, CLIP)
    expect_count(front, "0 / 75 75 pads")
    box(front).click()
    front.page.keyboard.type("unbelievably (grainy:1.3) light", delay=10)
    front.page.wait_for_function(f"""() => {{
        const last = [...({PANELS})[0].querySelectorAll('.chip[data-kind=token]')].at(-1);
        return last?.innerText === 'light';
    }}""")
    assert chips(front, "start token weight end") == ["start", "unbelievably", "gra", "iny", "1.3", "light", "end"]
    expect_count(front, "4 / 75 71 pads")
    glued = front.page.locator(".chip[data-kind=token][data-glued]")
    assert glued.all_inner_texts() == ["iny"]
    (node,) = front.to_api().values()
    assert node["inputs"]["text"] == "unbelievably (grainy:1.3) light"
    assert "tokens" not in node["inputs"]
    assert front.errors == []


def test_what_is_cut_is_struck_and_says_why(front):
    add(front, CLIP)
    box(front).fill("word " * 80)
    expect_count(front, "80 / 75 5 cut")
    front.page.locator(".chips").evaluate("list => list.scrollTop = 10_000")
    last = front.page.locator(".chip[data-cut]").last
    last.hover()
    assert "past the 75 tokens that CLIP-L reads" in tip(front)
    assert chips(front)[-6:] == ["word", *["[word]"] * 5]
    set_widget(front, CLIP, "past_75", "average")
    expect_count(front, "80 / 150 2 chunks")
    assert front.page.locator(".chip[data-cut]").count() == 0
    assert front.errors == []


def test_t5_follows_its_length_and_its_weights(front):
    add(front, T5)
    expect_count(front, "1 token 255 pads")
    box(front).fill("A (red:1.5) fox")
    set_widget(front, T5, "length", "official 512")
    expect_count(front, "5 / 512 507 pads")
    assert chips(front, "token space weight end pads") == ["A", "red", "1.5", "\u2581", "fox", "end", "507 pads"]
    set_widget(front, T5, "weights", "off")
    front.page.wait_for_function(f"() => !({PANELS})[0].querySelector('.chip[data-kind=weight]')")
    assert "(" in "".join(chips(front))
    box(front).fill("word " * 300)
    set_widget(front, T5, "length", "official 256")
    expect_count(front, "301 / 256 45 cut")
    set_widget(front, T5, "length", "exact")
    expect_count(front, "301 tokens")
    assert front.errors == []


def test_ctrl_up_changes_a_weight_as_in_native_boxes(front):
    add(front, CLIP)
    box(front).fill("a moody film")
    box(front).click()
    box(front).evaluate("area => area.setSelectionRange(2, 7)")
    for _ in range(4):
        front.page.keyboard.press("Control+ArrowUp")
    front.page.wait_for_function(f"() => ({PANELS})[0].querySelector('.chip[data-kind=weight]')?.innerText === '1.2'")
    assert front.to_api().popitem()[1]["inputs"]["text"] == "a (moody:1.2) film"
    for _ in range(4):
        front.page.keyboard.press("Control+ArrowDown")
    front.page.wait_for_function(f"() => !({PANELS})[0].querySelector('.chip[data-kind=weight]')")
    assert front.to_api().popitem()[1]["inputs"]["text"] == "a moody film"
    assert front.errors == []


@pytest.mark.parametrize(
    "kind, said, note",
    [
        (CLIP, ["(", "12", ":", "3", "0", ")"], "CLIP reads as text, not as a weight: (12:30)"),
        (T5, ["12"], "T5 reads as a weight, as in ComfyUI, what may be meant as text: (12:30)"),
    ],
)
def test_a_doubtful_number_is_marked_and_told(front, kind, said, note):
    add(front, kind)
    box(front).fill("(12:30)")
    front.page.locator(".warned").wait_for()
    assert "".join(chips(front)).replace(" ", "") == "".join(said)
    assert chips(front, "weight") == ([] if kind == CLIP else ["30"])
    count(front).hover()
    assert note in tip(front)
    box(front).fill("(dog:1.2)")
    front.page.wait_for_function(f"() => !({PANELS})[0].querySelector('.warned')")
    assert front.errors == []


def test_an_embedding_that_is_not_there_is_struck(front):
    add(front, CLIP)
    box(front).fill("a \U0001f98a embedding:typo, at night")
    expect = "a \U0001f98a [embedding:typo] , at night"
    front.page.wait_for_function(f"() => ({PANELS})[0].querySelector('.chip[data-kind=ignored]')")
    shown = [each for each in chips(front, "token ignored part") if each != "\u00b7"]
    assert " ".join(shown) == expect
    front.page.locator(".chip[data-kind=ignored]").hover()
    assert "There is no such embedding" in tip(front)
    front.page.mouse.move(0, 0)
    count(front).hover()
    assert "There is no embedding:typo: nothing is read there." in tip(front)
    assert "counts as text" not in tip(front)
    box(front).fill("embedding:typo")
    expect_count(front, "0 / 75 75 pads !")
    assert chips(front, "token ignored") == ["[embedding:typo]"]
    box(front).fill("word " * 76 + "embedding:typo")
    expect_count(front, "76 / 75 1 cut !")
    assert front.errors == []


def test_the_keyboard_reaches_each_token(front):
    add(front, CLIP)
    box(front).fill("word " * 80)
    expect_count(front, "80 / 75 5 cut")
    front.page.locator(".count").focus()
    front.page.keyboard.press("Tab")
    while front.page.evaluate(f"() => ({PANELS})[0].activeElement?.className") != "chips":
        front.page.keyboard.press("Tab")
    assert "start token" in tip(front)
    front.page.keyboard.press("ArrowRight")
    assert tip(front).startswith("word")
    front.page.keyboard.press("End")
    assert "Cut" in tip(front)
    active = front.page.locator(".chips").get_attribute("aria-activedescendant")
    assert front.page.locator(f"#{active}").is_visible()
    assert front.errors == []


def test_a_linked_text_is_read_where_it_is_visible(front):
    add(front, CLIP, "PrimitiveStringMultiline", "StringConcatenate")
    front.page.evaluate(CONNECT, ["PrimitiveStringMultiline", 0, CLIP, "text"])
    set_widget(front, "PrimitiveStringMultiline", "value", "a red fox")
    expect_count(front, "3 / 75 72 pads")
    front.page.evaluate(CONNECT, ["StringConcatenate", 0, CLIP, "text"])
    front.page.locator(".message").get_by_text("comes from a link").wait_for()
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
    assert "No CLIP is wired in" in tip(front)
    front.page.evaluate(LOADER, ["DualCLIPLoader", "LongCLIP-L.safetensors", passing])
    expect_count(front, "80 / 246 166 pads")
    count(front).hover(position={"x": 2, "y": 2})
    front.page.mouse.move(0, 0)
    count(front).hover()
    assert "LongCLIP-L.safetensors is a Long-CLIP by its name" in tip(front)
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


COUNT_REQUESTS = """() => {
    const { fetchApi } = app.api, asked = [];
    let running = 0, most = 0;
    app.api.fetchApi = async (route, request) => {
        if (!route.includes("flux_duet")) return fetchApi.call(app.api, route, request);
        asked.push(JSON.parse(request.body).text);
        most = Math.max(most, ++running);
        for (let frame = 0; frame < 20; frame++) await new Promise(requestAnimationFrame); // a slow server
        return fetchApi.call(app.api, route, request).finally(() => running--);
    };
    app.api.fetchApi.stop = () => {
        app.api.fetchApi = fetchApi;
        return [asked, most];
    };
}"""


def test_one_request_at_a_time_and_none_that_is_stale(front):
    add(front, CLIP)
    expect_count(front, "0 / 75 75 pads")
    with followed(front) as ended:
        front.page.evaluate(COUNT_REQUESTS)
        box(front).click()
        front.page.keyboard.type("one two three four five six seven", delay=20)
        expect_count(front, "7 / 75 68 pads")
        ended()
        asked, most = front.page.evaluate("() => app.api.fetchApi.stop()")
    assert asked[-1] == "one two three four five six seven"
    assert most == 1
    assert front.page.locator(".chips[data-old]").count() == 0
    assert front.errors == []


def test_the_answer_shown_is_for_the_text_on_screen(front):
    """A slow answer to an older text is dropped, and old chips are dim until the new ones are there."""
    add(front, CLIP)
    expect_count(front, "0 / 75 75 pads")
    held = []
    front.page.route("**/flux_duet/tokens", lambda route: held.append(route))
    box(front).fill("one")
    becomes(front, lambda: len(held), 1)
    box(front).fill("one two")
    front.page.locator(".chips[data-old]").wait_for()
    front.page.evaluate(f"""() => {{
        const panel = ({PANELS})[0], seen = new Set(), watch = new MutationObserver(look);
        function look() {{
            if (!panel.querySelector('.chips[data-old]')) seen.add(panel.querySelector('b').innerText);
        }}
        watch.observe(panel, {{ subtree: true, childList: true, characterData: true, attributes: true }});
        window.seenCounts = () => (watch.disconnect(), [...seen]);
    }}""")
    held[0].continue_()
    becomes(front, lambda: len(held), 2)  # asked for once the older answer is there
    held[1].continue_()
    expect_count(front, "2 / 75 73 pads")
    front.page.unroute("**/flux_duet/tokens")
    assert [route.request.post_data_json["text"] for route in held] == ["one", "one two"]
    assert front.page.evaluate("() => seenCounts()") == ["2 / 75"]
    assert front.errors == []


def test_a_server_that_does_not_answer_is_told(front):
    add(front, CLIP)
    expect_count(front, "0 / 75 75 pads")
    front.page.route("**/flux_duet/tokens", lambda route: route.abort())
    box(front).fill("a fox")
    front.page.locator(".message").get_by_text("does not answer").wait_for()
    front.page.unroute("**/flux_duet/tokens")
    box(front).fill("a red fox")
    expect_count(front, "3 / 75 72 pads")
    assert front.page.locator(".message:visible").count() == 0
    front.errors.clear()


def test_folding_is_saved_and_undone(front):
    add(front, CLIP)
    box(front).fill("a red fox")
    expect_count(front, "3 / 75 72 pads")
    front.page.locator(".fold").click()
    assert front.page.locator(".chips").is_hidden()
    saved = front.page.evaluate("() => app.graph.serialize().nodes[0]")
    assert saved["widgets_values"] == ["a red fox", "first", True]
    front.load(front.page.evaluate("() => app.graph.serialize()"))
    expect_count(front, "3 / 75 72 pads")
    assert front.page.locator(".chips").is_hidden()
    front.page.locator(".fold").click()
    assert front.page.locator(".chips").is_visible()
    front.page.mouse.click(1000, 800)
    undo_is_heard(front)
    front.page.keyboard.press("Control+z")
    front.page.locator(".fold[aria-expanded=false]").wait_for()
    assert front.errors == []


ADD_AND_REMOVE = """() => {
    const added = [], { addEventListener, removeEventListener } = app.api;
    const node = LiteGraph.createNode("FluxDuetClipEncode");
    let listening = 0;
    app.api.addEventListener = (...given) => (listening++, addEventListener.apply(app.api, given));
    app.api.removeEventListener = (...given) => (listening--, removeEventListener.apply(app.api, given));
    app.graph.add(node);
    const during = listening;
    node.widgets[0].value = "to be asked";
    app.graph.remove(node);
    [app.api.addEventListener, app.api.removeEventListener] = [addEventListener, removeEventListener];
    return [during, listening];
}"""


def test_nothing_is_left_of_a_deleted_node(front):
    add(front, CLIP)
    expect_count(front, "0 / 75 75 pads")
    asked = []
    front.page.on("request", lambda request: asked.append(request.url) if "flux_duet" in request.url else None)
    with followed(front) as ended:
        left = front.page.evaluate(ADD_AND_REMOVE)
        ended()
    assert left[0] > 0 and left[1] == 0
    assert asked == []
    assert front.errors == []


def test_thousands_of_words_stay_few_elements(front):
    add(front, T5)
    text = "".join(f"word{index % 700} some, " for index in range(2500))
    set_widget(front, T5, "text", text)
    front.page.wait_for_function(f"() => /1[0-9]{{4}} tokens/.test(({PANELS})[0].querySelector('.count').innerText)")
    assert front.page.locator(".chip").count() < 200
    front.page.locator(".chips").evaluate("list => list.scrollTop = list.scrollHeight / 2")

    def first() -> int:
        return int(re.sub(r"\D", "", front.page.locator(".chip").first.get_attribute("id")))

    becomes(front, lambda: 5000 < first() < 12_000, True)
    assert front.page.locator(".chip").count() < 200
    assert front.errors == []


def test_a_busy_server_is_asked_again_quietly(front):
    add(front, CLIP)
    expect_count(front, "0 / 75 75 pads")
    answers = []

    def busy_once(route):
        answers.append(route.request.post_data_json["text"])
        if len(answers) == 1:
            route.fulfill(status=503, json={"error": "busy: 10 requests came before this one"})
        else:
            route.fallback()

    front.page.evaluate("""() => {
        window.told = [];
        const look = () => told.push(...[...document.querySelectorAll('.message')].map(each => each.innerText));
        window.watch = new MutationObserver(look);
        watch.observe(document.body, { subtree: true, childList: true, characterData: true });
    }""")
    front.page.route("**/flux_duet/tokens", busy_once)
    box(front).fill("a fox")
    expect_count(front, "2 / 75 73 pads")  # nobody typed anything since
    front.page.unroute("**/flux_duet/tokens")
    assert answers == ["a fox", "a fox"]
    assert not any(
        "busy" in told or "does not answer" in told
        for told in front.page.evaluate("() => (watch.disconnect(), window.told)")
    )
    assert all("503" in error for error in front.errors), "the browser's own line about the answer"
    front.errors.clear()
