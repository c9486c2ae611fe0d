"""Show Heatmap's panel: words, places, steps and blocks chosen without a run, and the word whose mask is output."""

import json

import pytest

from flux_duet.tests.browser.shipped import in_steps, shipped
from flux_duet.tests.browser.waiting import becomes, followed

HOUSE, TREE = "red house", "green tree"  # its words
KIND = "FluxDuetHeatmapShow"
NODE = f"app.graph.nodes.find(node => node.comfyClass === '{KIND}')"
# A number that changes with the drawn map.
DRAWN = """canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    .reduce((sum, value, at) => (sum + value * (at % 9973)) % 1e9, 0)"""


# A native node for the picture, after the subgraph that samples.
SAVE = """() => {
    const save = LiteGraph.createNode("SaveImage");
    app.graph.add(save);
    app.graph.nodes.find(node => node.isSubgraphNode?.()).connect(0, save, 0);
}"""


# Not the choices of the template.
ATTENTION = """() => {
    for (const [name, value] of [["measure", "mass"], ["blocks", "1"]])
        for (const node of app.graph.nodes.filter(node => node.comfyClass?.startsWith("FluxDuetHeatmap"))) {
            const widget = node.widgets.find(each => each.name === name);
            if (widget) widget.value = value;
        }
}"""


@pytest.fixture
def shown(front):
    """The shipped workflow in four steps, run, its panel in view; `shown.requests` collects the requests. It records
    the attention of each step and shows that of one block."""
    front.load(in_steps(shipped("token_heatmap"), 4))
    front.page.evaluate(SAVE)
    front.page.evaluate(ATTENTION)
    assert front.to_api()[sampler(front)]["inputs"]["steps"] == 4
    ran(front)
    front.requests = []

    def note(request):
        if request.method == "POST" and not request.url.endswith(("/settings", "/userdata")):
            front.requests.append((request.url.split("/api")[-1], request.post_data_json))

    front.page.on("request", note)
    yield front
    front.page.remove_listener("request", note)
    assert front.errors == []


def sampler(front) -> str:
    return next(node for node, data in front.to_api().items() if data["class_type"] == "FluxDuetSampler")


def ran(front) -> None:
    kind, detail = front.queue()
    assert kind == "execution_success", detail
    in_view(front)
    front.page.locator(".word").first.wait_for()


def in_view(front) -> None:
    front.page.evaluate(f"() => {{ app.canvas.deselectAll(); app.canvas.selectNode({NODE}); }}")
    front.fit()
    front.still()


def widget(front, name: str):
    return front.page.evaluate(f"name => {NODE}.widgets.find(widget => widget.name === name).value", name)


def exported(front) -> dict:
    return next(data["inputs"] for data in front.to_api().values() if data["class_type"] == KIND)


def drawn(front) -> float:
    return front.page.locator(".picture canvas").evaluate(DRAWN)


def maps_asked(front) -> list[dict]:
    return [body for url, body in front.requests if url == "/flux_duet/heatmap"]


def words(front) -> list[str]:
    """The words in the panel, from top to bottom."""
    listed = front.page.locator(".word").evaluate_all(
        "each => each.map(word => [word.getBoundingClientRect().top, word.getBoundingClientRect().left, word.title])"
    )
    return [word for *_, word in sorted(listed)]


def test_a_word_shows_its_map_and_a_place_ranks_the_words(shown):
    assert words(shown) == [HOUSE, TREE]
    own = drawn(shown)
    shown.page.locator(".word").nth(1).hover()
    assert drawn(shown) != own
    canvas = shown.page.locator(".picture canvas").bounding_box()
    seen = set()
    for x, y in ((0.2, 0.2), (0.45, 0.5), (0.9, 0.9)):
        shown.page.mouse.move(canvas["x"] + x * canvas["width"], canvas["y"] + y * canvas["height"])
        numbers = shown.page.locator(".word small").all_inner_texts()
        seen.add(tuple(numbers))
        largest = max(zip(map(amount, numbers), (HOUSE, TREE), strict=True))[1]
        assert words(shown)[0] == largest
    assert len(seen) == 3 and drawn(shown) == own
    assert shown.page.locator(".head").inner_text() == "Attention at this position"
    shown.page.mouse.move(canvas["x"] - 30, canvas["y"])
    assert shown.page.locator(".head").inner_text() == "Share of the attention"
    assert maps_asked(shown) == []


def amount(text: str) -> float:
    return float(text.removesuffix(" %"))


def test_sliders_look_at_other_steps_and_blocks_without_a_run(shown):
    whole = drawn(shown)
    first = shown.page.get_by_role("slider", name="First step")
    box = first.bounding_box()
    y = box["y"] + box["height"] / 2
    shown.page.mouse.move(box["x"] + 5, y)
    shown.page.mouse.down()
    for at in (0.2, 0.4, 0.67):
        shown.page.mouse.move(box["x"] + at * box["width"], y, steps=4)
    shown.page.mouse.up()
    becomes(shown, lambda: (widget(shown, "first_step"), widget(shown, "last_step")), (2, 10000))
    becomes(shown, lambda: [maps_asked(shown)[-1][name] for name in ("first", "last")], [2, 3])
    becomes(shown, lambda: drawn(shown) != whole, True)
    shown.page.get_by_role("slider", name="Last block").press("End")
    becomes(shown, lambda: maps_asked(shown)[-1]["blocks"].startswith("1-"), True)
    becomes(shown, lambda: exported(shown)["blocks"], f"1-{maps_asked(shown)[-1]['blocks'].split('-')[1]}")
    assert [url for url, _ in shown.requests if url == "/prompt"] == []
    shown.page.locator(".word").first.focus()
    shown.page.keyboard.press("Control+z")
    shown.page.wait_for_function(f"() => {NODE}.widgets.find(widget => widget.name === 'blocks').value === '1'")
    assert widget(shown, "first_step") == 2
    shown.page.keyboard.press("Control+z")
    shown.page.wait_for_function(f"() => {NODE}.widgets.find(widget => widget.name === 'first_step').value === 0")
    in_view(shown)
    becomes(shown, lambda: drawn(shown), whole)


def test_the_node_s_own_widgets_move_the_sliders(shown):
    shown.page.evaluate(f"""() => {{
        const widget = {NODE}.widgets.find(widget => widget.name === 'last_step');
        widget.value = 1; widget.callback?.(1);
    }}""")
    becomes(shown, lambda: shown.page.get_by_role("slider", name="Last step").input_value(), "1")
    becomes(shown, lambda: [body["last"] for body in maps_asked(shown)][-1:], [1])


def test_steps_play_and_stop(shown):
    shown.page.get_by_title("Play the steps one by one").click()
    # On a busy machine a step may be skipped; the animation repeats it.
    becomes(
        shown,
        lambda: {(body["first"], body["last"]) for body in maps_asked(shown)},
        {(step, step) for step in range(4)},
    )
    assert widget(shown, "last_step") == 10000
    shown.page.get_by_title("Stop").click()
    becomes(shown, lambda: (maps_asked(shown)[-1]["first"], maps_asked(shown)[-1]["last"]), (0, 3))
    with followed(shown) as ended:
        shown.page.get_by_title("Play the steps one by one").click()
        shown.page.evaluate(f"() => app.graph.remove({NODE})")
        ended()  # no timer is left that would send more requests


def test_a_click_sends_a_word_s_mask_on_and_can_be_undone(shown):
    shown.page.locator(".word").nth(1).click()
    assert exported(shown)["word"] == TREE
    assert shown.page.locator(".word").nth(1).get_attribute("aria-checked") == "true"
    shown.page.keyboard.press("Control+z")
    shown.page.wait_for_function(f"() => {NODE}.widgets.find(widget => widget.name === 'word').value === ''")
    in_view(shown)
    shown.page.locator(".word").first.focus()
    shown.page.keyboard.press("ArrowDown")
    shown.page.keyboard.press("Enter")
    assert exported(shown)["word"] == TREE
    saved = shown.page.evaluate("() => app.graph.serialize()")
    assert len(json.dumps(next(node for node in saved["nodes"] if node["type"] == KIND))) < 6000
    shown.load(saved)
    assert exported(shown)["word"] == TREE
    ran(shown)


def test_the_picture_is_not_shown_twice(shown):
    # The native node after it in the workflow has its picture, as usual.
    shown.page.wait_for_function(
        "() => app.graph.nodes.find(node => node.comfyClass === 'SaveImage').imgs?.[0]?.naturalWidth"
    )
    shown.still()
    native = f"() => [{NODE}.imgs?.length ?? 0, {NODE}.widgets.filter(widget => widget.name[0] === '$').length]"
    assert shown.page.evaluate(native) == [0, 0]
    if not shown.page.evaluate("() => LiteGraph.vueNodesMode"):
        return
    # A Vue node shows its picture next to the panel, unless the panel declares that it shows it.
    picture = shown.page.locator(f"[data-node-id='{shown.page.evaluate(f'() => {NODE}.id')}'] img")
    assert picture.count() == 0
    shown.page.evaluate(f"() => {{ {NODE}.hideOutputImages = false; }}")
    ran(shown)
    picture.first.wait_for()


def test_results_come_back_with_the_workflow_s_tab(shown):
    before = words(shown)
    shown.page.evaluate("() => sessionStorage.clear()")
    for command in ("Comfy.NewBlankWorkflow", "Workspace.PreviousOpenedWorkflow"):
        shown.page.evaluate("command => app.extensionManager.command.execute(command)", command)
        is_back = command == "Workspace.PreviousOpenedWorkflow"
        shown.page.wait_for_function(f"back => !!({NODE}) === back", arg=is_back)
    in_view(shown)
    shown.page.locator(".word").first.wait_for()
    assert words(shown) == before


def test_results_in_a_subgraph(shown):
    before = words(shown)
    shown.page.evaluate(f"""() => {{
        app.graph.convertToSubgraph(new Set([{NODE}]));
        const host = app.graph.nodes.find(node => node.subgraph?.nodes.some(inner => inner.comfyClass === "{KIND}"));
        app.canvas.openSubgraph(host.subgraph, host);
    }}""")
    shown.still()
    kind, detail = shown.queue()
    assert kind == "execution_success", detail
    shown.fit()
    shown.page.locator(".word").first.wait_for()
    assert words(shown) == before
    shown.page.evaluate("() => app.canvas.setGraph(app.rootGraph)")
    shown.still()


def test_results_outlive_a_reload_but_not_the_server_s_files(shown, forgotten):
    before = words(shown)
    assert shown.page.evaluate("() => app.graph.nodes.length") > 5
    shown.page.reload()
    shown.page.wait_for_function(f"() => window.app?.graph && {NODE}")
    in_view(shown)
    shown.page.locator(".word").first.wait_for()
    assert words(shown) == before
    for path in shown.server.base.glob("temp/**/flux_duet/*.safetensors"):
        path.unlink()
    shown.page.get_by_role("slider", name="First step").press("ArrowRight")
    shown.page.get_by_text("These maps are no longer on the server. Run the workflow again").wait_for()
    shown.errors.clear()  # the browser's own line about the 404
    ran(shown)
    assert words(shown) == before
    shown.page.locator(".note.wrong").wait_for(state="hidden")


def test_a_batch_s_first_picture_is_said_to_be_that(shown):
    shown.page.evaluate("""() => {
        const inner = app.graph.nodes.flatMap(node => node.subgraph?.nodes ?? []);
        const node = inner.find(node => node.widgets?.some(widget => widget.name === "batch_size"));
        node.widgets.find(widget => widget.name === "batch_size").value = 2;
    }""")
    ran(shown)
    shown.page.get_by_text("Picture 1 of 2. The outputs of the node have all of them.").wait_for()


def test_maps_that_had_no_room_are_reported(shown):
    shown.page.evaluate(f"() => {NODE}.fluxDuetResult({{ text: ['These maps take 9 GB.'], images: [] }})")
    shown.page.locator(".note.wrong").get_by_text("These maps take 9 GB.").wait_for()
