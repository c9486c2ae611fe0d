"""Prompt Schedule's tracks: keys, typed text, units, split and joined, saved and deleted."""

import pytest

from flux_duet.tests.browser.timeline.tracks import TRACKS, Timeline
from flux_duet.tests.browser.waiting import becomes, followed


def test_by_keys_alone(front):
    shown = Timeline(front, "1\n@8 2", "1\n@s0.85 2")
    shown.segments("CLIP").nth(1).focus()
    steps = [
        ("ArrowRight", "1\n@9 2"),
        ("Shift+ArrowRight", "1\n@14 2"),
        ("ArrowLeft", "1\n@13 2"),
        ("f", "1\n@13..14 2"),
        ("f", "1\n@13..15 2"),
        ("Shift+F", "1\n@13..14 2"),
        ("Shift+F", "1\n@13 2"),
        ("Enter", "1\n@13 2\n@17 1"),
        ("ArrowDown", None),
        ("2", "1\n@13 2\n@17 2"),
        ("Delete", "1\n@13 2"),
        ("Home", None),
        ("Delete", "2"),
    ]
    text = "1\n@8 2"
    for key, expected in steps:
        shown.page.keyboard.press(key)
        text = expected or text
        assert shown.texts[0] == text, key
    shown.page.keyboard.press("ArrowDown")  # on to the other stream
    shown.page.keyboard.press("Alt+ArrowRight")
    assert shown.texts[1] == "1\n@s0.848 2"
    assert shown.page.evaluate("() => app.graph.nodes.length") == 6  # Delete has not reached the canvas
    shown.page.keyboard.press("Control+z")
    becomes(front, lambda: shown.texts[1], "1\n@s0.85 2")
    assert front.errors == []


def test_one_tab_stop_for_each_stream(front):
    shown = Timeline(front, "1\n@8 2\n@12 1", "1")
    for stream in ("CLIP", "T5"):
        assert shown.segments(stream).evaluate_all("all => all.filter(one => one.tabIndex === 0).length") == 1
    label = shown.segments("CLIP").nth(1).get_attribute("aria-label")
    assert label == "CLIP 2: a forest, from step 8 · 40 % · sigma 0.826, until step 12"


def test_what_is_typed_moves_the_segments_and_errors_are_said(front):
    shown = Timeline(front)
    box = next(each for each in front.page.locator("textarea").all() if each.input_value() == "1\n@8 2")
    box.fill("1\n@16 2")
    shown.wait_for_widths("CLIP", [0.8, 0.2])
    box.fill("1\n@8 2\n@4 1")
    shown.track("CLIP").get_by_text("4 comes after 8. Write the times in the order of the run.").wait_for()
    box.fill("1\n@8 3")
    shown.page.locator(".foot[data-wrong]", has_text="CLIP prompt 3 is not connected.").wait_for()
    assert shown.texts[0] == "1\n@8 3"
    assert front.errors == []


def test_the_ruler_changes_its_unit_and_follows_the_sampler(front):
    shown = Timeline(front)
    ruler = shown.page.locator(".ruler")
    for label, marks in (("percent", ["0 %", "50 %", "100 %"]), ("sigma", ["1", "0.8", "0"]), ("steps", ["0", "10"])):
        shown.page.locator("button.unit").click()
        assert shown.page.locator("button.unit").inner_text() == label
        assert set(marks) <= set(ruler.locator("span").all_inner_texts())
    front.page.evaluate("""() => {
        const sampler = app.graph.nodes.find(node => node.comfyClass === "FluxDuetSampler");
        for (const [name, value] of [["steps", 10], ["scheduler", "beta"]]) {
            sampler.widgets.find(widget => widget.name === name).value = value;
        }
        app.canvas.emitBeforeChange();
        app.canvas.emitAfterChange();
    }""")
    shown.page.locator(".foot", has_text="10 steps · beta").wait_for()
    shown.wait_for_widths("CLIP", [0.8, 0.2])
    even = shown.widths("T5")[0]
    assert even != pytest.approx(0.4, abs=0.01)  # beta's steps are not even in time
    shown.drag("T5", even * 10, 3, part=shown.track("T5").locator(".grip"))
    assert front.errors == []


def test_without_a_sampler_it_says_what_is_assumed(front):
    shown = Timeline(front)
    front.page.evaluate("""() => {
        app.graph.remove(app.graph.nodes.find(node => node.comfyClass === "FluxDuetSampler"));
    }""")
    shown.page.locator(".foot", has_text="No sampler found").wait_for()
    assert shown.widths("CLIP") == pytest.approx([0.4, 0.6], abs=0.01)


def test_texts_are_split_and_joined_too(front):
    node = front.page.evaluate("""() => {
        const node = LiteGraph.createNode("FluxDuetScheduleText");
        node.pos = [420, 0];
        app.graph.add(node);
        const texts = { clip_text: "at night,\\nin winter\\n@4..9 in the forest", t5_text: "a cat" };
        for (const widget of node.widgets) widget.value = texts[widget.name] ?? widget.value;
        app.canvas.ds.scale = 1;
        app.canvas.ds.offset = [-330, 90];
        app.canvas.emitBeforeChange();
        app.canvas.emitAfterChange();
        return String(node.id);
    }""")
    track = front.page.locator(TRACKS.format("CLIP"))
    becomes(front, lambda: track.locator(".segment").all_inner_texts(), ["at night, in winter", "in the forest"])
    front.still()
    track.locator(".segment").nth(1).focus()
    front.page.keyboard.press("Enter")
    front.page.keyboard.press("Home")
    front.page.keyboard.press("Delete")
    assert front.to_api()[node]["inputs"]["clip_text"] == "in the forest\n@15 in the forest"
    assert front.errors == []


def test_a_workflow_is_saved_and_loaded_as_without_the_tracks(front):
    shown = Timeline(front)
    saved = front.page.evaluate("() => JSON.parse(JSON.stringify(app.graph.serialize()))")
    (kept,) = (node for node in saved["nodes"] if node["type"] == "FluxDuetSchedule")
    assert kept["widgets_values"] == ["1\n@8 2", "1\n@40% 2", 3.5]
    kept["widgets_values"][0] = "1\n@5 2"
    front.load(saved)
    shown.wait_for_widths("CLIP", [0.25, 0.75])
    assert shown.texts == ("1\n@5 2", "1\n@40% 2")
    front.page.evaluate("""() => {
        app.canvas.selectItems([app.graph.nodes.find(node => node.comfyClass === "FluxDuetSchedule")]);
        app.canvas.copyToClipboard();
        app.canvas.pasteFromClipboard();
    }""")
    becomes(front, lambda: front.page.locator(TRACKS.format("CLIP")).count(), 2)
    assert front.errors == []


def test_nothing_is_left_of_a_deleted_node(front):
    front.page.evaluate("""() => {
        window.listening = 0;
        for (const [name, by] of [["addEventListener", 1], ["removeEventListener", -1]]) {
            const own = app.api[name];
            app.api[name] = function (...given) {
                window.listening += by;
                return own.apply(this, given);
            };
        }
    }""")
    Timeline(front)
    assert front.page.evaluate("() => window.listening") >= 1
    front.page.evaluate("() => app.graph.clear()")
    front.page.wait_for_function("() => window.listening === 0")
    front.page.evaluate("() => { delete app.api.addEventListener; delete app.api.removeEventListener; }")
    assert front.page.locator(TRACKS.format("CLIP")).count() == 0
    urls = []
    front.page.on("request", lambda request: urls.append(request.url))
    with followed(front) as ended:
        front.page.evaluate("() => app.api.dispatchCustomEvent('graphChanged', null)")
        ended()
    assert not [url for url in urls if "sigmas" in url]
