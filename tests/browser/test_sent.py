"""Boxes with dynamic prompts show what ComfyUI sends: without comments, and with one option of each {a|b}."""

import random

from flux_duet.tests.browser.tokens.boxes import CLIP, PANELS, add, box, count, expect_count, tip
from flux_duet.tests.browser.waiting import becomes

# The front end draws with Math.random, which is held at its first option here.
COMPARE = """async texts => {
    const { sent, given } = await import("/extensions/flux-duet/lib/sent.mjs");
    const node = LiteGraph.createNode("FluxDuetClipEncode"), draw = Math.random;
    const widget = node.widgets.find(widget => widget.name === "text");
    const found = [];
    Math.random = () => 0;
    try {
        for (const text of texts) {
            widget.value = text;
            const theirs = await widget.serializeValue({}, 0), ours = sent(text);
            const isPlaced = ours.at.length === theirs.length + 1 && (theirs.includes("undefined")
                || theirs.split("").every((sign, at) => text[ours.at[at]] === sign));
            if (theirs !== ours.text || !isPlaced) found.push([text, theirs, ours.text, ours.at]);
        }
    } finally {
        Math.random = draw;
    }
    return found;
}"""
SIGNS = ["{", "}", "|", "\\", "/", "*", "a", "b", "\n", " ", "\U0001f98a"]
CASES = [
    "a {red|blue} fox", "a {red|{deep|dark} blue} fox", "a /* b */ c // d\ne", "https://example.com/x", "{a", "a}",
    "\\{a\\}", "{}", "a\\", "/**/{/*|*/a|b}//{c|d}",
]  # fmt: skip


def test_the_text_is_what_the_front_end_sends(front):
    draw = random.Random(7)
    texts = ["".join(draw.choices(SIGNS, k=draw.randrange(14))) for _ in range(400)]
    assert front.page.evaluate(COMPARE, CASES + texts) == []


def test_a_comment_a_choice_and_an_address_are_told(front):
    add(front, CLIP)
    box(front).fill("a {red|deep blue} fox // not this one, which has many words")
    expect_count(front, "\u22483 / 75 72 pads")
    shown = front.page.evaluate(f"() => [...({PANELS})[0].querySelectorAll('.chip')].map(chip => chip.innerText)")
    assert shown == ["start", "a", "1 of 2:", "red", "fox", "// not this one, which has many words", "end", "72 pads"]
    count(front).hover()
    assert "ComfyUI draws one option of each {a|b} at each run" in tip(front)
    front.page.mouse.move(0, 0)
    box(front).fill("see https://example.com/x today")
    front.page.locator(".warned").wait_for()
    count(front).hover()
    assert "ComfyUI reads // as a comment and removes: //example.com/x today" in tip(front)
    (node,) = front.to_api().values()
    assert node["inputs"]["text"] == "see https:"
    assert front.errors == []


def test_the_strip_counts_what_is_below_it(front):
    add(front, CLIP)
    box(front).fill("word " * 70)
    expect_count(front, "70 / 75 5 pads")
    more = front.page.locator(".more:visible")
    becomes(front, lambda: more.inner_text().split()[1], "more")
    first = int(more.inner_text().split()[0])
    more.click()
    becomes(front, lambda: int(more.inner_text().split()[0]) < first, True)
    front.page.locator(".chips").evaluate("list => list.scrollTop = 10_000")
    becomes(front, more.count, 0)
    assert front.errors == []


EDIT = """async text => {
    const { parseSent } = await import("/extensions/flux-duet/timeline/sent.mjs");
    const { removed, retimed, split } = await import("/extensions/flux-duet/timeline/edits.mjs");
    const entries = parseSent(text), point = { value: 9, unit: "step" };
    return {
        texts: entries.map(entry => entry.text), drawn: entries.map(entry => entry.isDrawn),
        retimed: retimed(text, entries[1], point, point), removed: removed(text, entries, 1),
        split: split(text, entries[0], { value: 2, unit: "step" }, "x"),
    };
}"""


def test_a_track_has_no_commented_out_entry_and_edits_keep_comments(front):
    text = "day // bright\n// @4 noon\n@8 {night|dusk} /* late */\n@12 dawn"
    assert front.page.evaluate(EDIT, text) == {
        "texts": ["day", "night", "dawn"],
        "drawn": [False, True, False],
        "retimed": "day // bright\n// @4 noon\n@9 {night|dusk} /* late */\n@12 dawn",
        "removed": "day // bright\n// @4 noon\n@12 dawn",
        "split": "day\n@2 x // bright\n// @4 noon\n@8 {night|dusk} /* late */\n@12 dawn",
    }
