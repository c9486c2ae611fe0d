"""Prompt Schedule's timelines as tracks: what is dragged, clicked and typed there becomes the text that is run."""

import pytest

from flux_duet.tests.browser.waiting import becomes, eventually, followed

BUILD = """texts => {
    const add = (type, pos, values = {}) => {
        const node = LiteGraph.createNode(type);
        node.pos = pos;
        app.graph.add(node);
        for (const [name, value] of Object.entries(values)) {
            const widget = node.widgets.find(widget => widget.name === name);
            widget.value = value;
            widget.callback?.(value);
        }
        return node;
    };
    const schedule = add("FluxDuetSchedule", [420, 0], texts);
    const socket = name => schedule.inputs.findIndex(input => input.name.endsWith(name));
    const prompts = { vec1: "a calm sea", vec2: "a forest", txt1: "a white square", txt2: "a red heart" };
    for (const [name, text] of Object.entries(prompts)) {
        const kind = name.startsWith("vec") ? "FluxDuetClipEncode" : "FluxDuetT5Encode";
        const at = Object.keys(prompts).indexOf(name);
        add(kind, [0, 320 * at], { text }).connect(0, schedule, socket(name));
    }
    const sampler = add("FluxDuetSampler", [900, 0], { steps: 20 });
    schedule.connect(0, sampler, 1);
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [-330, 90];
    app.canvas.setDirty(true, true);
    app.canvas.emitBeforeChange();
    app.canvas.emitAfterChange();
    return String(schedule.id);
}"""
TRACKS = "[role=listbox][aria-label='{} timeline']"


def differs(now, before) -> None:
    assert now != before


class Timeline:
    """The tracks of one node, by pointer and keys."""

    def __init__(self, front, clip="1\n@8 2", t5="1\n@40% 2"):
        self.front, self.page = front, front.page
        self.node = front.page.evaluate(BUILD, {"clip_timeline": clip, "t5_timeline": t5})
        self.track("CLIP").wait_for()
        front.still()

    def track(self, road):
        return self.page.locator(TRACKS.format(road))

    def segments(self, road):
        return self.track(road).locator(".segment")

    def at(self, road, step, of=20, height=0.5):
        """The page's point at a step of a track."""
        box = self.track(road).bounding_box()
        return box["x"] + box["width"] * step / of, box["y"] + box["height"] * height

    def drag(self, road, step, to, part=None, keys=()):
        """From a border at `step`, or what else is `part` there, to another step."""
        x, y = self.at(road, step)
        if part is not None:
            box = part.bounding_box()
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for key in keys:
            self.page.keyboard.down(key)
        self.page.mouse.move((x + self.at(road, to)[0]) / 2, y + 1)
        self.page.mouse.move(x + self.at(road, to)[0] - self.at(road, step)[0], y)
        self.page.mouse.up()
        for key in keys:
            self.page.keyboard.up(key)

    @property
    def texts(self):
        """What reaches the server."""
        inputs = self.front.to_api()[self.node]["inputs"]
        return inputs["clip_timeline"], inputs["t5_timeline"]

    def undo(self):
        before = self.texts
        self.page.evaluate("() => app.extensionManager.command.execute('Comfy.Undo')")
        eventually(self.front, lambda: differs(self.texts, before))
        self.front.still()

    def wait_for_widths(self, road, expected):
        becomes(self.front, lambda: self.widths(road), pytest.approx(expected, abs=0.01))

    def widths(self, road):
        width = "each => each.getBoundingClientRect().width"
        return self.track(road).evaluate(
            f"track => [...track.querySelectorAll('.segment')].map({width}).map(width => width / ({width})(track))"
        )


def test_tracks_show_what_plays_when(front):
    shown = Timeline(front)
    assert shown.segments("CLIP").all_inner_texts() == ["1\na calm sea", "2\na forest"]
    assert shown.segments("T5").all_inner_texts() == ["1\na white square", "2\na red heart"]
    assert shown.widths("CLIP") == pytest.approx([0.4, 0.6], abs=0.01)
    assert shown.widths("T5") == pytest.approx([0.4, 0.6], abs=0.01)
    assert "20 steps · simple" in shown.page.locator(".foot").inner_text()
    assert front.errors == []


def test_a_border_is_dragged_in_the_text_s_own_unit_and_undone_in_one_step(front):
    shown = Timeline(front, "# kept\n1\n  @8   2  \n# too", "1\n@s0.85 2")
    shown.drag("CLIP", 8, 13.2)
    assert shown.texts[0] == "# kept\n1\n  @13   2  \n# too"
    shown.drag("T5", shown.widths("T5")[0] * 20, 10)
    assert shown.texts == ("# kept\n1\n  @13   2  \n# too", "1\n@s0.76 2")  # 0.7595, and step 10 is in
    shown.undo()
    assert shown.texts == ("# kept\n1\n  @13   2  \n# too", "1\n@s0.85 2")
    shown.undo()
    assert shown.texts[0] == "# kept\n1\n  @8   2  \n# too"
    assert shown.segments("CLIP").count() == 2
    assert front.errors == []


def test_alt_is_between_the_steps_and_escape_takes_it_back(front):
    shown = Timeline(front)
    shown.drag("T5", 8, 10.5, keys=["Alt"])
    value = float(shown.texts[1].removeprefix("1\n@").removesuffix("% 2"))
    assert value == pytest.approx(52.5, abs=0.8) and value % 5
    before = shown.texts
    x, y = shown.at("CLIP", 8)
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    shown.page.mouse.move(x + 60, y)
    shown.page.locator(".tip:popover-open").wait_for()
    said = shown.page.locator(".tip:popover-open").inner_text()
    assert "step 11" in said and "sigma" in said
    assert shown.texts == before  # until it is let go
    shown.page.keyboard.press("Escape")
    shown.page.mouse.up()
    assert shown.texts == before and shown.widths("CLIP") == pytest.approx([0.4, 0.6], abs=0.01)
    assert front.errors == []


def test_a_border_stays_between_its_neighbours(front):
    shown = Timeline(front, "1\n@8 2\n@12 1", "1\n@4..9 2\n@15 1")
    shown.drag("CLIP", 8, 18)
    assert shown.texts[0] == "1\n@11 2\n@12 1"
    shown.drag("CLIP", 11, -3)
    assert shown.texts[0] == "1\n@1 2\n@12 1"
    shown.drag("T5", 15, 6)
    assert shown.texts[1] == "1\n@4..9 2\n@9 1"
    assert front.errors == []


def test_a_fade_is_drawn_out_carried_along_and_pushed_in(front):
    shown = Timeline(front)
    handle = shown.track("CLIP").locator(".ease")
    shown.track("CLIP").hover()
    shown.drag("CLIP", 8, 12, part=handle)
    assert shown.texts[0] == "1\n@8..12 2"
    assert shown.track("CLIP").locator(".ramp").count() == 1
    shown.drag("CLIP", 8, 10)
    assert shown.texts[0] == "1\n@10..14 2"
    shown.drag("CLIP", 14, 9, part=handle)
    assert shown.texts[0] == "1\n@10 2"
    assert front.errors == []


def test_double_click_splits_and_a_menu_does_the_rest(front):
    shown = Timeline(front, "1", "1\n@40% 2")
    assert "CLIP prompt 2 is connected, but never plays." in shown.page.locator(".foot").inner_text()
    shown.page.mouse.dblclick(*shown.at("CLIP", 6))
    assert shown.texts[0] == "1\n@6 2"
    shown.page.locator(".foot", has_text="20 steps").wait_for()
    shown.page.mouse.click(*shown.at("CLIP", 15), button="right")
    shown.page.get_by_role("menuitemradio", name="1 a calm sea").click()
    assert shown.texts[0] == "1\n@6 1"
    shown.page.mouse.click(*shown.at("T5", 15), button="right")
    shown.page.get_by_role("menuitem", name="Fade in").click()
    assert shown.texts[1] == "1\n@40%..60% 2"
    shown.segments("T5").first.hover()
    shown.segments("T5").first.locator(".more").click()
    shown.page.get_by_role("menuitem", name="Remove").click()
    assert shown.texts[1] == "2"
    assert front.errors == []


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
    shown.page.keyboard.press("ArrowDown")  # on to the other road
    shown.page.keyboard.press("Alt+ArrowRight")
    assert shown.texts[1] == "1\n@s0.848 2"
    assert shown.page.evaluate("() => app.graph.nodes.length") == 6  # Delete has not reached the canvas
    shown.page.keyboard.press("Control+z")
    becomes(front, lambda: shown.texts[1], "1\n@s0.85 2")
    assert front.errors == []


def test_one_tab_stop_for_each_road(front):
    shown = Timeline(front, "1\n@8 2\n@12 1", "1")
    for road in ("CLIP", "T5"):
        assert shown.segments(road).evaluate_all("all => all.filter(one => one.tabIndex === 0).length") == 1
    label = shown.segments("CLIP").nth(1).get_attribute("aria-label")
    assert label == "CLIP 2: a forest, from step 8 · 40 % · sigma 0.826, until step 12"


def test_what_is_typed_moves_the_segments_and_errors_are_said(front):
    shown = Timeline(front)
    box = next(each for each in front.page.locator("textarea").all() if each.input_value() == "1\n@8 2")
    box.fill("1\n@16 2")
    shown.wait_for_widths("CLIP", [0.8, 0.2])
    box.fill("1\n@8 2\n@4 1")
    shown.track("CLIP").get_by_text("4 comes after 8; expected times in the order of the run.").wait_for()
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
    asked = []
    front.page.on("request", lambda request: asked.append(request.url))
    with followed(front) as ended:
        front.page.evaluate("() => app.api.dispatchCustomEvent('graphChanged', null)")
        ended()
    assert not [url for url in asked if "sigmas" in url]
