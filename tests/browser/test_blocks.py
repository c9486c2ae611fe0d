"""Lists of blocks as paintable strips: painting writes the shortest list, which Python reads the same."""

import json
import random
import re
import struct
from pathlib import Path

import pytest

from flux_duet.nodes.condition.blocks import PRESETS, Blocks
from flux_duet.tests.browser.waiting import becomes
from flux_duet.tests.unit.test_block_cases import CASES
from flux_duet.tests.unit.test_block_cases import numbers as numbers_of

ADD = """([type, texts]) => {
    const node = LiteGraph.createNode(type);
    node.pos = [420, 0];
    app.graph.add(node);
    for (const [name, value] of Object.entries(texts)) {
        const widget = node.widgets.find(widget => widget.name === name);
        widget.value = value;
        widget.callback?.(value);
    }
    node.setSize([520, node.size[1]]);
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [-330, 90];
    app.canvas.setDirty(true, true);
    app.canvas.emitBeforeChange();
    app.canvas.emitAfterChange();
    return String(node.id);
}"""
FLUX = (19, 38)
BACK = "ends before it begins"


class Picker:
    """The strips of one node, by pointer and keys."""

    def __init__(self, front, kind="FluxDuetRoute", **texts):
        self.front, self.page = front, front.page
        self.node = front.page.evaluate(ADD, [kind, texts])
        front.still()

    def strip(self, name="CLIP"):
        return self.page.get_by_role("listbox", name=f"{name} blocks" if name else "Blocks", exact=True)

    def cells(self, name="CLIP"):
        return self.strip(name).locator(".cell")

    def painted(self, name="CLIP"):
        """The numbers of the cells that are on, and whether the last layer is."""
        cells = self.cells(name).evaluate_all(
            "all => all.map(cell => [cell.dataset.kind, cell.ariaSelected === 'true'])"
        )
        return ({at for at, (kind, on) in enumerate(cells) if on and kind != "final"}, ["final", True] in cells)

    def point(self, at, name="CLIP"):
        box = self.cells(name).nth(at).bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def stroke(self, first, last, name="CLIP", end=True):
        self.page.mouse.move(*self.point(first, name))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(last, name))
        if end:
            self.page.mouse.up()

    def text(self, name="clip_blocks"):
        """The prompt that is sent to the server."""
        return self.front.to_api()[self.node]["inputs"][name]


def test_a_list_is_shown_and_painted_over(front):
    shown = Picker(front, clip_blocks="double, 25, final", t5_blocks="none")
    assert shown.cells("CLIP").count() == 58 and shown.cells("T5").count() == 57
    assert shown.painted("CLIP") == ({*range(19), 25}, True) and shown.painted("T5") == (set(), False)
    shown.stroke(28, 30)
    assert shown.text() == "double, 25, 28-30, final"
    shown.stroke(30, 25)  # dragging sets all cells to the first cell's new state: cleared
    assert shown.text() == "double, final"
    shown.stroke(57, 57)
    assert shown.text() == "double"
    shown.stroke(56, 19, "T5")
    assert shown.text("t5_blocks") == "single"
    shown.stroke(0, 18, "T5")
    assert shown.text("t5_blocks") == "all"
    front.page.evaluate("() => app.extensionManager.command.execute('Comfy.Undo')")
    becomes(front, lambda: (shown.text("t5_blocks"), shown.painted("T5")[0]), ("single", set(range(19, 57))))
    assert front.errors == []


def test_escape_takes_a_stroke_back(front):
    shown = Picker(front, clip_blocks="5-")
    shown.stroke(0, 10, end=False)
    assert len(shown.painted()[0]) == 57 and shown.text() == "5-"
    tip = front.page.locator(".tip:popover-open").inner_text()
    assert "Block 10, double" in tip and "57 of 57" in tip
    front.page.keyboard.press("Escape")
    front.page.mouse.up()
    assert shown.text() == "5-" and shown.painted()[0] == set(range(5, 57))


def test_by_keys_alone(front):
    shown = Picker(front, clip_blocks="none")
    assert shown.cells().evaluate_all("all => all.filter(cell => cell.tabIndex === 0).length") == 1
    shown.cells().first.focus()
    for key, expected in (("Space", "0"), ("ArrowRight", "0"), ("Shift+ArrowRight", "0"), ("ArrowLeft", "0"),
                          ("Space", "0-1"), ("Shift+ArrowRight", "0-2"), ("End", "0-2"), ("Space", "0-2, final"),
                          ("Home", "0-2, final"), ("Space", "1-2, final")):  # fmt: skip
        front.page.keyboard.press(key)
        assert shown.text() == expected, key
    assert shown.cells().nth(0).get_attribute("aria-label") == "Block 0, double"
    assert front.page.evaluate("() => app.graph.nodes.length") == 1
    assert front.errors == []


def test_presets_are_python_s(front):
    shown = Picker(front, clip_blocks="none", t5_blocks="none")
    front.page.get_by_role("button", name="Presets: T5 blocks").click()
    names = front.page.get_by_role("menuitemradio").all_inner_texts()
    assert names == list(PRESETS)
    front.page.get_by_role("menuitemradio", name="vital blocks (Stable Flow)").click()
    assert shown.text("t5_blocks") == "vital blocks (Stable Flow)"
    assert shown.painted("T5")[0] == set(Blocks.parse("vital blocks (Stable Flow)").within(*FLUX))
    shown.stroke(0, 0, "T5")
    assert shown.text("t5_blocks") == "1, 17-18, 25, 28, 53-54, 56"
    assert front.errors == []


def test_what_is_typed_is_shown_and_errors_are_said(front):
    shown = Picker(front, clip_blocks="doble")
    shown.strip().get_by_text('Got "doble", expected numbers').wait_for()
    set_text = """([id, text]) => {
        const widget = app.graph.getNodeById(id).widgets.find(widget => widget.name === "clip_blocks");
        widget.value = text;
        widget.callback?.(text);
    }"""
    front.page.evaluate(set_text, [shown.node, "0, 4-1"])
    shown.strip().get_by_text("4-1 ends before it begins, so it names no block. Expected 1-4.").wait_for()
    front.page.evaluate(set_text, [shown.node, "7-9"])
    assert shown.painted()[0] == {7, 8, 9}
    front.page.evaluate(set_text, [shown.node, "7, 60"])
    front.page.locator(".scale[data-wrong]", has_text="This model has no 60").wait_for()
    shown.stroke(3, 3)
    assert shown.text() == "3, 7, 60"  # nothing is lost
    assert front.errors == []


def test_the_nano_model_has_fewer_blocks(front):
    shown = Picker(front, clip_blocks="double", t5_blocks="none")
    front.page.evaluate(
        """id => {
        const [sampler, loader] = ["FluxDuetSampler", "UNETLoader"].map(type => {
            const node = LiteGraph.createNode(type);
            node.pos = [1000, 400];
            app.graph.add(node);
            return node;
        });
        loader.widgets[0].value = "nano_flux.safetensors";
        loader.connect(0, sampler, 0);
        app.graph.getNodeById(id).connect(0, sampler, 1);
        app.canvas.emitBeforeChange();
        app.canvas.emitAfterChange();
    }""",
        shown.node,
    )
    front.page.locator(".scale", has_text="2 double and 4 single blocks: nano_flux.safetensors").wait_for()
    assert shown.cells().count() == 7 and shown.painted()[0] == {0, 1}
    shown.stroke(4, 5)
    assert shown.text() == "double, 4-"
    path = Path(__file__).parents[2] / "workflows/models/diffusion_models/nano_flux.safetensors"
    with path.open("rb") as file:
        names = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    for kind, count in (("double", 2), ("single", 4)):
        assert len({found[1] for name in names if (found := re.search(rf"{kind}_blocks\.(\d+)\.", name))}) == count
    assert front.errors == []


@pytest.mark.parametrize(
    "kind, name",
    [("FluxDuetClipNegative", "CLIP"), ("FluxDuetRegion", "T5"), ("FluxDuetNag", "T5"), ("FluxDuetLora", "")],
)
def test_other_nodes_lists_are_painted_too(front, kind, name):
    shown = Picker(front, kind, blocks="5-" if name == "CLIP" else "all")
    if not shown.strip(name).is_visible():  # Vue nodes hide what is advanced, and the strip with it
        front.page.get_by_text("Show advanced inputs").click()
    shown.stroke(0, 9, name)
    before = {"FluxDuetClipNegative": "all"}.get(kind, "10-")
    assert shown.text("blocks") == before
    assert front.errors == []


def test_a_workflow_is_saved_and_loaded_as_without_the_strips(front):
    shown = Picker(front, clip_blocks="double", t5_blocks="5-")
    saved = front.page.evaluate("() => JSON.parse(JSON.stringify(app.graph.serialize()))")
    assert saved["nodes"][0]["widgets_values"] == ["double", "5-"]
    saved["nodes"][0]["widgets_values"] = ["single", "3"]
    front.load(saved)
    becomes(front, lambda: [shown.painted(stream)[0] for stream in ("CLIP", "T5")], [set(range(19, 57)), {3}])
    front.page.evaluate("() => app.graph.clear()")
    becomes(front, lambda: shown.strip().count(), 0)
    assert front.errors == []


# ---- the list, on both sides

BOTH = """async ([lists, depths, presets]) => {
    const { read, written } = await import("/extensions/flux-duet/blocks/list.mjs");
    return lists.map(list => depths.map(([double, single]) => {
        const state = read(list, { double, single }, presets);
        const texts = [true, false].map(hasFinal => written(state, { double, single }, hasFinal));
        return [state.wrong, state.beyond.length, [...state.blocks], state.final, ...texts];
    }));
}"""


def random_lists(count):
    pick = random.Random(0)
    words = [
        "double",
        "single",
        "final",
        "all",
        "none",
        "0",
        "5",
        "18",
        "19",
        "0-18",
        "3-7",
        "40-",
        "56-",
        "57",
        "2-9",
        "0-",
        "Double",
        "x",
        "5--",
        "-3",
        "9-2",
        "\u0663",
    ]
    return [pick.choice([", ", " ", ",,"]).join(pick.choices(words[: pick.choice([17, 22])], k=pick.randint(0, 4)))
            for _ in range(count)]  # fmt: skip


def test_both_sides_read_a_list_alike_and_what_is_written_means_the_same(front):
    lists = [*PRESETS, *random_lists(800)]
    depths = [FLUX, (2, 4)]
    answers = front.page.evaluate(BOTH, [lists, depths, PRESETS])
    for text, answer in zip(lists, answers, strict=True):
        try:
            blocks = Blocks.parse(text)
        except ValueError as error:
            assert all(wrong for wrong, *_ in answer), text
            assert {BACK in wrong for wrong, *_ in answer} == {BACK in str(error)}, text
            continue
        for depth, (wrong, beyond, numbers, final, with_final, without) in zip(depths, answer, strict=True):
            assert not wrong
            try:
                expected = blocks.within(*depth)
            except ValueError:
                assert beyond, (text, depth)
                continue
            assert not beyond and set(numbers) == expected and final == blocks.final, (text, depth)
            again = Blocks.parse(with_final)
            assert again.within(*depth) == expected and again.final == final, (text, with_final)
            assert Blocks.parse(without).within(*depth) == expected, (text, without)
    named = dict(zip(lists, answers, strict=True))
    assert named["double blocks"][0][4] == "double" and named["single blocks"][0][4] == "single, final"


def test_lists_are_read_as_agreed(front):
    """The cases that Python reads in tests/unit/test_block_cases.py."""
    answers = front.page.evaluate(BOTH, [[case["text"] for case in CASES], [FLUX], PRESETS])
    for case, ((wrong, beyond, blocks, final, *_),) in zip(CASES, answers, strict=True):
        message = case.get("wrong", "")
        assert (message in wrong if message else not wrong) and bool(beyond) == case.get("beyond", False), case["text"]
        if "blocks" in case:
            assert set(blocks) == numbers_of(case["blocks"]) and final == case.get("final", False), case["text"]


def test_the_strips_line_up_and_a_tip_hides_none(front):
    picker = Picker(front)
    for at in (0, 20, 56):
        assert picker.point(at, "CLIP")[0] == pytest.approx(picker.point(at, "T5")[0], abs=1)
    picker.page.mouse.move(*picker.point(20, "CLIP"))
    tip = picker.page.locator(".tip:popover-open").bounding_box()
    strip = picker.strip("T5").bounding_box()
    assert tip["y"] >= strip["y"] + strip["height"]
    assert front.errors == []
