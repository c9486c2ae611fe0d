"""The front end reads and edits a timeline's text the same way as Python."""

import json
import math
import random
from pathlib import Path

import pytest

from flux_duet.nodes.condition.time.timeline import parse
from flux_duet.nodes.condition.timepoints import Clock, Moment, Point

CASES = json.loads(Path(__file__).parents[2].joinpath("timelines.json").read_text("utf-8"))
READ = """async texts => {
    const { parse, TimelineError } = await import("/extensions/flux-duet/timeline/grammar.mjs");
    return texts.map(text => {
        try {
            const point = ({ value, unit }) => [value, unit];
            return parse(text).map(({ text, start, fade }) => [text, point(start), point(fade)]);
        } catch (error) {
            if (!(error instanceof TimelineError)) throw error;
            return error.message;
        }
    });
}"""
EDIT = """async texts => {
    const { parse } = await import("/extensions/flux-duet/timeline/grammar.mjs");
    const { removed, retimed, reworded, split } = await import("/extensions/flux-duet/timeline/edits.mjs");
    return texts.map(text => {
        const entries = parse(text);
        const last = entries.at(-1), late = { value: last.fade.unit === "sigma" ? 1e-3 : 99, unit: last.fade.unit };
        return {
            removed: entries.length > 1 ? entries.map((_, index) => removed(text, entries, index)) : [],
            reworded: entries.map(entry => reworded(text, entry, "7")),
            retimed: last.isMarked && entries.length > 1 ? retimed(text, last, last.start, late) : null,
            split: entries.length > 1 ? split(text, last, late, "@8 odd\\nwords") : null,
            oddly: entries.flatMap(entry => ["% b", ".. 6"].map(words => reworded(text, entry, words))),
            apart: entries.length > 1 ? ["% b", ".. 6"].map(words => split(text, last, late, words)) : [],
        };
    });
}"""


def written(entries) -> list:
    """A timeline in READ's format."""
    return [[entry.text, *([point.value, point.unit] for point in (entry.start, entry.fade))] for entry in entries]


PIECES = [
    "1",
    "a red cat",
    "@8",
    "@ 9",
    "@12..16",
    "@s0.7",
    "@s0.5..s0.3",
    "@40%",
    "@62.5%..80%",
    "@0",
    "@100%",
    "\\@8",
    "\\\\@",
    "@@",
    "..",
    "...",
    "%",
    "% b",
    ".. 6",
    "\t",
    " ",
    "",
    "é",
    "\r",
    "@8.5",
    "@s1",
    "-",
]


def random_texts(count: int) -> list[str]:
    """Random timelines, most of them almost valid."""
    pick = random.Random(0)
    texts = []
    for _ in range(count):
        marks = sorted(pick.sample(range(20), pick.randint(0, 3)))
        lines = ["".join(pick.choices(PIECES[:2] + PIECES[-8:], k=2))]
        for mark in marks:
            time = pick.choice([mark, f"{mark}..{mark + 1}", f"{mark} .. {mark + 1}", f"{mark}.. {mark + 1}"])
            lines.append(f"{pick.choice(['', ' '])}@{time}{pick.choice(['', ' '])}{pick.choice(PIECES)}")
        if pick.random() < 0.6:
            lines.insert(pick.randint(0, len(lines)), " ".join(pick.choices(PIECES, k=2)))
        texts.append("\n".join(lines))
    return texts


def parsed(text):
    try:
        return parse(text)
    except ValueError:
        return None


def test_both_sides_read_the_same(front):
    texts = [case["text"] for case in CASES] + random_texts(2000)
    readings = front.page.evaluate(READ, texts)
    good = 0
    for text, reading in zip(texts, readings, strict=True):
        entries = parsed(text)
        read = reading if isinstance(reading, list) else None
        assert read == (written(entries) if entries else None), (text, reading)
        good += entries is not None
    assert 300 < good < len(texts) - 300  # both kinds are among them


def test_an_edit_changes_what_is_meant_and_nothing_else(front):
    def trimmed(entries):
        return [[text.strip(), *times] for text, *times in entries]

    texts = [text for text in random_texts(2000) if parsed(text)]
    start = [0, "percent"]
    for text, edited in zip(texts, front.page.evaluate(EDIT, texts), strict=True):
        before = trimmed(written(parsed(text)))
        for index, other in enumerate(edited["removed"]):
            (_, first), *rest = [(each, each[0]) for each in [*before[:index], *before[index + 1 :]]]
            expected = [[first, start, start], *(each for each, _ in rest)]
            assert trimmed(written(parsed(other))) == expected, (text, index, other)
        for index, other in enumerate(edited["reworded"]):
            expected = [*before[:index], ["7", *before[index][1:]], *before[index + 1 :]]
            assert trimmed(written(parsed(other))) == expected, (text, index, other)
        for index, other in enumerate(edited["oddly"]):
            expected = [*before[: index // 2], [("% b", ".. 6")[index % 2], *before[index // 2][1:]]]
            assert trimmed(written(parsed(other))) == [*expected, *before[index // 2 + 1 :]], (text, index, other)
        for words, other in zip(("% b", ".. 6"), edited["apart"], strict=False):
            if more := parsed(other):
                assert trimmed(written(more))[:-1] == before and more[-1].text == words
        if edited["retimed"] and (late := parsed(edited["retimed"])):
            assert trimmed(written(late))[:-1] == before[:-1] and late[-1].text == before[-1][0]
        if edited["split"] and (more := parsed(edited["split"])):
            assert trimmed(written(more))[:-1] == before and more[-1].text == "@8 odd\nwords"


# ---- times, on both sides

SNAP = """async ([sigmas, shift]) => {
    const { clock } = await import("/extensions/flux-duet/timeline/clock.mjs");
    const { pointText } = await import("/extensions/flux-duet/timeline/grammar.mjs");
    const made = clock(sigmas, shift);
    const units = ["step", "percent", "sigma"];
    return sigmas.slice(0, -1).map((_, step) => units.map(unit => {
        const point = made.point(step + 0.2, unit);
        return [pointText(point), made.place(point)];
    }));
}"""


@pytest.mark.parametrize("plan", [
    {"steps": 20}, {"steps": 150}, {"steps": 4, "shift": None}, {"steps": 12, "denoise": 0.45},
    {"steps": 28, "scheduler": "official", "width": 768, "height": 512}, {"steps": 13, "scheduler": "beta"},
], ids=str)  # fmt: skip
def test_a_border_that_snaps_to_a_step_acts_from_this_step_on(front, plan):
    shift = plan.get("shift", 1.15)
    sigmas = front.server.post("/flux_duet/sigmas", plan)["sigmas"]
    factor = math.exp(shift or 0)
    run = Clock(sigmas, lambda share: factor / (factor + 1 / (1 - share) - 1))
    for step, points in enumerate(front.page.evaluate(SNAP, [sigmas, shift])):
        for text, place in points if step else []:
            point = Point.parse(text)
            assert Moment(sigmas[step], run).reached(point), (step, text)
            assert not Moment(sigmas[step - 1], run).reached(point), (step, text)
            assert step - 1 < place <= step + 1e-3, (step, text, place)
