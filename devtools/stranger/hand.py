"""A hand on the mouse: clicks at what a user sees, in both renderers, and counts the clicks.

One press of a mouse button is one click, a drag too; a double click is two. Typing, the wheel and pointing are free.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Locator, Page

from .. import SetupError
from ..front_end import FRAMES, FrontEnd
from ..templates.layout import READABLE

Point = tuple[float, float]

# A place on the canvas, in the graph's units -> in the page's pixels.
PLACE = """([x, y]) => {
    const { ds, canvas } = app.canvas, box = canvas.getBoundingClientRect();
    return [box.x + (x + ds.offset[0]) * ds.scale, box.y + (y + ds.offset[1]) * ds.scale];
}"""
SLOT = """([id, way, name]) => {
    const node = app.graph.getNodeById(id), slots = way === "in" ? node.inputs : node.outputs;
    const index = slots.findIndex(slot => slot.name === name);
    if (index < 0) throw Error(`${node.type} has no ${name}, but ${slots.map(slot => slot.name)}`);
    return [index, ...node.getConnectionPos(way === "in", index)];
}"""
WIDGET = """([id, name]) => {{
    const node = app.graph.getNodeById(id), widget = node.widgets.find(widget => widget.name === name);
    return {};
}}"""
# What can be asked of a widget: its place on LiteGraph's canvas, its label, its text box among all of the page.
MIDDLE = "[node.pos[0] + node.size[0] * 0.7, node.pos[1] + widget.y + (widget.computedHeight ?? 20) / 2]"
LABEL, TEXT_BOX = "widget.label ?? widget.name", "[...document.querySelectorAll('textarea')].indexOf(widget.element)"
# Where to double-click for a new node, which then stands around that place: no node is there, no button or
# panel, and no edge of the window, where dragging a link moves the canvas.
FREE = """() => {
    const { ds } = app.canvas, width = 440 * ds.scale, height = 450 * ds.scale;
    const { x: left, y: top } = app.canvas.canvas.getBoundingClientRect();
    const boxes = app.graph.nodes.map(({ pos: [x, y], size: [w, h] }) =>
        [left + (x + ds.offset[0]) * ds.scale, top + (y + ds.offset[1]) * ds.scale, w * ds.scale, h * ds.scale]);
    const crossed = (x, y) => boxes.some(([left, top, w, h]) =>
        x < left + w + 50 && left < x + width + 20 && y < top + h + 40 && top < y + height);
    const canvas = (x, y) => document.elementFromPoint(x, y)?.id === "graph-canvas";
    const free = (x, y) => !crossed(x, y) && [0, 0.5, 1].every(right => [0, 0.4, 0.8].every(down =>
        canvas(x + right * width, y + down * height)));
    for (let y = 120; y < innerHeight - 0.8 * height; y += 10) for (let x = 150; x < innerWidth - width - 100; x += 10)
        if (free(x, y)) return [x + width / 2, y];
    return null;
}"""
EMPTY = """() => {
    for (let y = innerHeight - 60; y > 100; y -= 20) for (let x = 100; x < innerWidth; x += 20) {
        const at = app.canvas.convertEventToCanvasOffset({ clientX: x, clientY: y });
        if (document.elementFromPoint(x, y)?.id === "graph-canvas" && !app.graph.getNodeOnPos(...at)) return [x, y];
    }
}"""
HANGS = "app.canvas.state.ghostNodeId != null"  # a new node, on the pointer
CALM = 10  # frames per second: more, without a GPU, keep the page from hearing two clicks as a double click
# Where a word of a text box is, in the page's pixels: a copy of the box has the text in lines of the same lengths.
WORD = """(area, word) => {
    const box = area.getBoundingClientRect(), copy = document.createElement("div"), style = getComputedStyle(area);
    for (const name of style) copy.style.setProperty(name, style.getPropertyValue(name));
    Object.assign(copy.style, { position: "fixed", left: 0, top: 0, width: `${area.offsetWidth}px`,
        height: `${area.offsetHeight}px`, whiteSpace: "pre-wrap", transform: "none" });
    copy.textContent = area.value;
    document.body.append(copy);
    const range = document.createRange(), from = area.value.indexOf(word);
    range.setStart(copy.firstChild, from);
    range.setEnd(copy.firstChild, from + word.length);
    const found = range.getBoundingClientRect(), scale = box.width / area.offsetWidth;
    copy.remove();
    return [box.x + scale * (found.x + found.width / 2), box.y + scale * (found.y + found.height / 2)];
}"""
LISTEN = """() => {
    window.strangerRun = null;
    for (const kind of ["execution_success", "execution_error", "execution_interrupted"])
        app.api.addEventListener(kind, ({ detail }) => { window.strangerRun = [kind, detail]; }, { once: true });
}"""
DONE = "() => window.strangerRun ?? (app.lastNodeErrors && ['rejected', app.lastNodeErrors])"


class Hand:
    """`clicks` is how many there were since the beginning of the task."""

    def __init__(self, front: FrontEnd, vue: bool):
        self.front, self.vue, self.clicks = front, vue, 0
        front.set(FRAMES, CALM)

    @property
    def page(self) -> Page:
        return self.front.page

    # ---- the mouse and the keyboard

    def click(self, at: Locator | Point) -> None:
        self.clicks += 1
        self.page.mouse.click(*self.point(at))

    def double_click(self, at: Locator | Point) -> None:
        self.clicks += 2
        self.page.mouse.dblclick(*self.point(at), delay=40)  # milliseconds: nobody is faster

    def drag(self, start: Locator | Point, end: Locator | Point) -> None:
        self.clicks += 1
        self.page.mouse.move(*self.point(start))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(end), steps=8)
        self.page.mouse.up()
        self.front.still()

    def hover(self, at: Locator | Point) -> None:
        self.page.mouse.move(*self.point(at))

    def keys(self, *pressed: str) -> None:
        for key in pressed:
            self.page.keyboard.press(key)

    def replace(self, text: str) -> None:
        """Types instead of all that the box has."""
        self.keys("Control+A")
        self.page.keyboard.type(text)

    def point(self, at: Locator | Point) -> Point:
        if isinstance(at, tuple):
            return at
        at.wait_for()
        at.scroll_into_view_if_needed()
        box = at.bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    # ---- the front end

    def open(self, title: str) -> None:
        """A template of the pack, from the side bar. Three clicks."""
        self.front.still()
        self.click(self.page.get_by_role("button", name="Templates").first)
        self.click(self.page.get_by_text("Flux Duet", exact=True).last)
        self.click(self.page.get_by_role("dialog").get_by_text(title).first)
        self.page.get_by_role("dialog").first.wait_for(state="hidden")
        self.front.still()

    def run(self, seconds: float = 300) -> None:
        """Presses Run and waits for the end; raises SetupError for any other end than success."""
        self.page.evaluate(LISTEN)
        self.click(self.page.get_by_test_id("queue-button"))
        self.front.set(FRAMES, 2)
        try:
            found = self.page.wait_for_function(DONE, timeout=1000 * seconds).json_value()
        finally:
            self.front.set(FRAMES, CALM)
        if found[0] != "execution_success":
            raise SetupError(f"the run ended with {found}")

    def pan(self, right: float, down: float) -> None:
        """Moves the canvas by dragging an empty place of it: one click."""
        at = self.page.evaluate(EMPTY)
        self.drag(tuple(at), (at[0] + right, at[1] + down))

    def zoom_out(self, scale: float) -> None:
        """By the wheel, which costs no click."""
        self.hover(tuple(self.page.evaluate(EMPTY)))
        while self.page.evaluate("() => app.canvas.ds.scale") > scale:
            self.page.mouse.wheel(0, 100)
            self.front.still()

    @contextmanager
    def closer(self, node: int) -> Iterator[None]:
        """Looks at a node from near by the wheel, and goes back: from afar LiteGraph draws no text and no text box."""
        title = self.page.evaluate("id => app.graph.getNodeById(id).pos.map((at, axis) => at + [30, -12][axis])", node)
        at, turns = tuple(self.page.evaluate(PLACE, title)), 0
        self.hover(at)
        while self.page.evaluate("() => app.canvas.ds.scale") < READABLE:
            self.page.mouse.wheel(0, -100)
            self.front.still()
            turns += 1
        yield
        self.hover(at)
        for _ in range(turns):
            self.page.mouse.wheel(0, 100)
            self.front.still()

    def add(self, title: str) -> int:
        """A new node at a free place, by the search box; its id. Three clicks: the node hangs on the pointer until one
        puts it down."""
        if (at := self.page.evaluate(FREE)) is None:
            raise SetupError(f"no free place for {title} in the window")
        before, search = self._ids(), self.page.get_by_placeholder("Add a node...")
        self.double_click(tuple(at))
        search.wait_for()
        self.page.keyboard.type(title)
        self.page.locator("#results-list [role='option']").first.filter(has_text=title).wait_for()
        self.keys("Enter")
        self.page.wait_for_function("count => app.graph.nodes.length > count", arg=len(before))
        search.wait_for(state="hidden")
        self.page.wait_for_function(f"() => {HANGS}")
        self.click(tuple(at))
        self.page.wait_for_function(f"() => !({HANGS})")
        self.front.still()
        (new,) = set(self._ids()) - set(before)
        return new

    def _ids(self) -> list[int]:
        return self.page.evaluate("() => app.graph.nodes.map(node => node.id)")

    # ---- nodes

    def node(self, kind: str) -> int:
        """The id of the first node of a type."""
        return self.page.evaluate("kind => app.graph.nodes.find(node => node.type === kind).id", kind)

    def slot(self, node: int, way: str, name: str) -> Locator | Point:
        index, *at = self.page.evaluate(SLOT, [node, way, name])
        if self.vue:
            return self.page.locator(f"[data-slot-key='{node}-{way}-{index}']").first
        return tuple(self.page.evaluate(PLACE, at))

    def link(self, source: int, output: str, target: int, name: str) -> None:
        self.drag(self.slot(source, "out", output), self.slot(target, "in", name))
        linked = "([id, name]) => app.graph.getNodeById(id).inputs.find(input => input.name === name)?.link != null"
        if not self.page.evaluate(linked, [target, name]):
            raise SetupError(f"dragging did not link {source}.{output} to {target}.{name}")

    def widget(self, node: int, name: str, kind: str) -> Locator | Point:
        """`kind` is the selector of the part that is clicked; on LiteGraph's canvas each widget is one part."""
        if self.vue:
            label = self.page.get_by_text(self.ask(node, name, LABEL), exact=True)
            row = self.page.locator(f"[data-node-id='{node}'] [data-testid='node-widget']").filter(has=label).first
            return row.locator(kind).first
        return tuple(self.page.evaluate(PLACE, self.ask(node, name, MIDDLE)))

    def number(self, node: int, name: str, value: float) -> None:
        """Two clicks: a double click on the number, which is then typed. Three if LiteGraph's box for it opens without
        the focus."""
        self.double_click(self.widget(node, name, "input"))
        if not self.vue:
            field = self.page.locator(".graphdialog input")
            field.wait_for()
            self.front.still()
            if not field.evaluate("field => field === document.activeElement"):
                self.click(field)
        self.replace(str(value))
        self.keys("Enter")
        self.expect(node, name, value)

    def choose(self, node: int, name: str, value: str) -> None:
        """Two clicks: the list, and a line of it."""
        self.click(self.widget(node, name, "button, [role='combobox']"))
        menu = "[role='option']" if self.vue else ".litemenu-entry"
        self.click(self.page.locator(menu).filter(has_text=value).first)
        self.expect(node, name, value)

    def box(self, node: int, name: str) -> Locator:
        """The text box of a widget."""
        if self.vue:
            return self.page.locator(f"[data-node-id='{node}'] textarea").nth(self._boxes(node).index(name))
        return self.page.locator("textarea").nth(self.ask(node, name, TEXT_BOX))

    def _boxes(self, node: int) -> list[str]:
        script = "id => app.graph.getNodeById(id).widgets.filter(one => one.type === 'customtext').map(one => one.name)"
        return self.page.evaluate(script, node)

    def write(self, node: int, name: str, text: str) -> None:
        self.click(self.box(node, name))
        self.replace(text)
        self.expect(node, name, text)

    def word(self, node: int, name: str, word: str) -> Point:
        return tuple(self.box(node, name).evaluate(WORD, word))

    def value(self, node: int, name: str) -> Any:
        return self.ask(node, name, "widget.value")

    def ask(self, node: int, name: str, what: str) -> Any:
        """`what` is an expression about `node` and its `widget`."""
        return self.page.evaluate(WIDGET.format(what), [node, name])

    def expect(self, node: int, name: str, value: Any) -> None:
        if (found := self.value(node, name)) != value:
            raise SetupError(f"{name} of node {node} is {found!r}, not {value!r}")


Task = Callable[[Hand], None]
