"""The tokens under a prompt box: requests to a slow server, folding, and cleanup."""

import re

from flux_duet.tests.browser.tokens.boxes import (
    CLIP,
    PANELS,
    T5,
    add,
    box,
    expect_count,
    set_widget,
)
from flux_duet.tests.browser.waiting import becomes, followed, undo_is_heard

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
        texts, most = front.page.evaluate("() => app.api.fetchApi.stop()")
    assert texts[-1] == "one two three four five six seven"
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
    becomes(front, lambda: len(held), 2)  # requested when the older answer has arrived
    held[1].continue_()
    expect_count(front, "2 / 75 73 pads")
    front.page.unroute("**/flux_duet/tokens")
    assert [route.request.post_data_json["text"] for route in held] == ["one", "one two"]
    assert front.page.evaluate("() => seenCounts()") == ["2 / 75"]
    assert front.errors == []


def test_a_server_that_does_not_answer_is_reported(front):
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
    urls = []
    front.page.on("request", lambda request: urls.append(request.url) if "flux_duet" in request.url else None)
    with followed(front) as ended:
        left = front.page.evaluate(ADD_AND_REMOVE)
        ended()
    assert left[0] > 0 and left[1] == 0
    assert urls == []
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
            route.fulfill(status=503, json={"error": "busy: 10 requests are waiting"})
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
        "busy" in message or "does not answer" in message
        for message in front.page.evaluate("() => (watch.disconnect(), window.told)")
    )
    assert all("503" in error for error in front.errors), "the browser's own line about the answer"
    front.errors.clear()
