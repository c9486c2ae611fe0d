"""A Prompt Schedule with its prompts in the front end, driven by pointer and keys."""

import pytest

from flux_duet.tests.browser.waiting import becomes, eventually

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

    def track(self, stream):
        return self.page.locator(TRACKS.format(stream))

    def segments(self, stream):
        return self.track(stream).locator(".segment")

    def at(self, stream, step, of=20, height=0.5):
        """The page coordinates of a step on a track."""
        box = self.track(stream).bounding_box()
        return box["x"] + box["width"] * step / of, box["y"] + box["height"] * height

    def drag(self, stream, step, to, part=None, keys=()):
        """Drags the border at `step`, or another `part` there, to another step."""
        x, y = self.at(stream, step)
        if part is not None:
            box = part.bounding_box()
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for key in keys:
            self.page.keyboard.down(key)
        self.page.mouse.move((x + self.at(stream, to)[0]) / 2, y + 1)
        self.page.mouse.move(x + self.at(stream, to)[0] - self.at(stream, step)[0], y)
        self.page.mouse.up()
        for key in keys:
            self.page.keyboard.up(key)

    @property
    def texts(self):
        """The prompt that is sent to the server."""
        inputs = self.front.to_api()[self.node]["inputs"]
        return inputs["clip_timeline"], inputs["t5_timeline"]

    def undo(self):
        before = self.texts
        self.page.evaluate("() => app.extensionManager.command.execute('Comfy.Undo')")
        eventually(self.front, lambda: differs(self.texts, before))
        self.front.still()

    def wait_for_widths(self, stream, expected):
        becomes(self.front, lambda: self.widths(stream), pytest.approx(expected, abs=0.01))

    def widths(self, stream):
        width = "each => each.getBoundingClientRect().width"
        return self.track(stream).evaluate(
            f"track => [...track.querySelectorAll('.segment')].map({width}).map(width => width / ({width})(track))"
        )
