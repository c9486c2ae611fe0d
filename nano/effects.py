"""`dev.py run nano.effects`: each control's effect on the nano model, for the help pages and docs/controls.md.

Needs ComfyUI.

All pictures of a strip have the same seed, and within a row only the control changes. Failures are shown too.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import torch

from ..nodes.condition.blend.nodes import BlendTxt, BlendVec, ClipNegative
from ..nodes.condition.nodes import DualPrompt
from ..nodes.condition.place.nodes import NegativeTxt, Region, Route
from ..nodes.condition.time.nodes import PartOfRun, PromptAt, Schedule
from ..nodes.encode.choices import FIRST
from ..nodes.encode.clip_prompt import encode_clip_prompt
from ..nodes.encode.encoding import encode_t5
from .pipeline import GUIDANCE, MODELS, Pipeline
from .sheet import SHEET
from .strips import Row, Strip, drawn, page, save, stacked
from .weights import STEPS

OVERVIEW = SHEET.with_name("controls.jpg")
HELP = SHEET.parent.parent / "js" / "docs" / "images"  # where the front end loads them from
LIMIT, OVERVIEW_LIMIT = 40_000, 120_000  # bytes

STAR, HEART = "a big yellow star in the middle", "a small red heart in the top left"
NIGHT, SNOW, PINK = "at night", "in the snow", "on pink paper"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Desk:
    """Encodes texts, each once, and builds CONDITIONINGs."""

    def __init__(self, pipeline: Pipeline):
        self.vec = cache(lambda text: encode_clip_prompt(pipeline.clip_l, text, FIRST)[0])
        self.txt = cache(lambda text: encode_t5(pipeline.t5, text)[0])

    def prompt(self, clip, t5) -> list:
        """A CONDITIONING of two texts or streams."""
        vec = self.vec(clip) if isinstance(clip, str) else clip
        return DualPrompt.execute(vec, self.txt(t5) if isinstance(t5, str) else t5, GUIDANCE)[0]

    def schedule(self, clip: Sequence[str], t5: Sequence[str], clip_mark: str = "", t5_mark: str = "") -> list:
        """Each prompt begins with its first text and switches to its second at its mark, such as "@8"."""
        vecs = {f"vec{number}": self.vec(text) for number, text in enumerate(clip, 1)}
        txts = {f"txt{number}": self.txt(text) for number, text in enumerate(t5, 1)}
        lines = [f"1\n{mark} 2" if mark else "1" for mark in (clip_mark, t5_mark)]
        return Schedule.execute(vecs, txts, *lines, GUIDANCE)[0]


def schedule(desk: Desk) -> list[Strip]:
    steps = (2, 6, 8, 11, 14)
    return [Strip([f"k = {step}" for step in steps], {
        "T5: a star, @k a heart in the corner": [desk.schedule([NIGHT], [STAR, HEART], "", f"@{k}") for k in steps],
        "T5, fading: @k..k+6": [desk.schedule([NIGHT], [STAR, HEART], "", f"@{k}..{k + 6}") for k in steps],
        "CLIP: at night, @k in the snow": [desk.schedule([NIGHT, SNOW], [STAR], f"@{k}") for k in steps],
    })]  # fmt: skip


def prompt_at(desk: Desk) -> list[Strip]:
    whole = desk.schedule([NIGHT, SNOW], [STAR, HEART], "@7", "@12")
    when = ("0", "7", "12")
    taken = [PromptAt.execute(whole, step)[0] for step in when]
    names = ["schedule", *(f"at step {step}" for step in when)]
    return [Strip(names, {"CLIP: night, @7 snow; T5: star, @12 heart": [whole, *taken]})]


def part_of_run(desk: Desk) -> list[Strip]:
    ranges = {f"0..4: {STEPS + 4}": ("0", "4"), f"0..8: {STEPS + 8}": ("0", "8"),
              f"8..end: {2 * STEPS - 8}": ("8", "100%"), f"all: {2 * STEPS}": ("0%", "100%")}  # fmt: skip

    def row(text: str, unwanted: str) -> Row:
        positive, negative = desk.prompt(PINK, text), desk.prompt(PINK, unwanted)
        return [positive, *((positive, PartOfRun.execute(negative, *times)[0]) for times in ranges.values())]

    return [Strip([f"none: {STEPS}", *ranges], {
        "a circle, without: a blue circle": row("a circle", "a blue circle"),
        "a ring, without: a ring with stripes": row("a ring", "a ring with stripes"),
    }, seed=2)]  # fmt: skip


def region(desk: Desk) -> list[Strip]:
    left = torch.zeros(1, 64, 64)
    left[..., :32] = 1
    parts = [(desk.txt("a small red heart on the left"), left), (desk.txt("a small blue star on the right"), 1 - left)]
    base = desk.txt("a yellow circle in the middle")

    def row(ratio: float) -> Row:
        def over(under, part):
            return Region.execute(under, *part, 1.0, ratio)[0]

        texts = [base, over(base, parts[0]), over(base, parts[1]), over(over(base, parts[0]), parts[1])]
        return [desk.prompt(PINK, text) for text in texts]

    names = ("base", "left", "right", "both")
    rows = {f"a circle, a heart left, a star right; base_ratio {ratio:g}": row(ratio) for ratio in (0.0, 0.2, 0.5)}
    return [Strip(names, rows,
                  masks=([], [left], [left], [left]))]  # fmt: skip


def routing(desk: Desk) -> list[Strip]:
    a, b = desk.prompt(NIGHT, STAR), desk.prompt(SNOW, HEART)
    lists = {"none": "none", "double": "double", "single": "single", "0-3": "0-3", "all": "all"}
    return [Strip(list(lists), {
        "CLIP: these blocks see snow, the rest night": [Route.execute(a, b, words)[0] for words in lists.values()],
        "T5: these blocks see the heart, the rest the star": [
            Route.execute(a, b, "none", words)[0] for words in lists.values()],
    })]  # fmt: skip


def clip_negative(desk: Desk) -> list[Strip]:
    weights = (0.0, 0.5, 1.0, 2.0, 3.0)

    def row(text: str, unwanted: str, blocks: str = "0-") -> Row:
        vecs = [ClipNegative.execute(desk.vec(text), desk.vec(unwanted), w, blocks=blocks)[0] for w in weights]
        return [desk.prompt(vec, STAR) for vec in vecs]

    return [Strip(_weights(weights), {
        "under water, at night; negative: at night": row("under water, at night", NIGHT),
        "on pink paper, under water; negative: under water": row("on pink paper, under water", "under water"),
        "the same, in blocks 2- alone": row("on pink paper, under water", "under water", "2-"),
        "in the snow; negative: in the forest": row(SNOW, "in the forest"),
    })]  # fmt: skip


def t5_negative(desk: Desk) -> list[Strip]:
    scales = (1, 2, 3, 5, 8)

    def row(text: str, unwanted: str) -> Row:
        return [desk.prompt(PINK, NegativeTxt.execute(desk.txt(text), desk.txt(unwanted), s)[0]) for s in scales]

    return [Strip([f"scale {scale}" for scale in scales], {
        "a circle; negative: a blue circle": row("a circle", "a blue circle"),
        "a ring; negative: a ring with stripes": row("a ring", "a ring with stripes"),
        "a red heart left of a blue circle; negative: a blue circle": row(
            "a red heart left of a blue circle", "a blue circle"),
    }, seed=2)]  # fmt: skip


def blend_clip(desk: Desk) -> list[Strip]:
    def row(own: str, mode: str, weights: Sequence[float], other: str | None = None) -> Row:
        given = None if other is None else desk.vec(other)
        vecs = [BlendVec.execute(desk.vec(own), mode, weight, given, desk.vec(""))[0] for weight in weights]
        return [desk.prompt(vec, STAR) for vec in vecs]

    beyond = (0.0, 0.15, 0.3, 1.0, 2.0)
    return [
        Strip(_weights(SHARES), {
            "lerp: at sunset, in the forest": row("at sunset", "lerp", SHARES, "in the forest"),
            "slerp: the same": row("at sunset", "slerp", SHARES, "in the forest")}),
        Strip(_weights(beyond), {
            "strength: at night": row(NIGHT, "strength", beyond),
            "add: on pink paper, and at night": row(PINK, "add", beyond, NIGHT)}),
    ]  # fmt: skip


def blend_t5(desk: Desk) -> list[Strip]:
    star, heart = "a red star in the middle", "a red heart in the middle"
    return [Strip(_weights(SHARES), {
        "join: a star, a heart in the corner": _blended(desk, STAR, "join", SHARES, HEART),
        "both: the same": _blended(desk, STAR, "both", SHARES, HEART),
        "lerp: a red star, a red heart": _blended(desk, star, "lerp", SHARES, heart),
    })]  # fmt: skip


def blend_t5_moved(desk: Desk) -> list[Strip]:
    circle, weights = "a red circle in the middle", (0.0, 0.5, 0.75, 1.0, 2.0)
    return [Strip(_weights(weights), {
        "add: a red circle, and blue": _blended(desk, circle, "add", weights, "blue"),
        "subtract: a red circle, less red": _blended(desk, circle, "subtract", weights, "red"),
    })]  # fmt: skip


def _blended(desk: Desk, own: str, mode: str, weights: Sequence[float], other: str) -> Row:
    given = desk.txt(other), desk.txt("")
    return [desk.prompt(PINK, BlendTxt.execute(desk.txt(own), mode, weight, *given)[0]) for weight in weights]


def _weights(weights: Sequence[float]) -> list[str]:
    return [f"weight {weight:g}" for weight in weights]


PICTURES: dict[str, Callable[[Desk], list[Strip]]] = {
    "blend_clip": blend_clip, "blend_t5": blend_t5, "blend_t5_moved": blend_t5_moved, "schedule": schedule,
    "prompt_at": prompt_at, "part_of_run": part_of_run, "region": region, "routing": routing,
    "clip_negative": clip_negative, "t5_negative": t5_negative,
}  # fmt: skip
# The overview of docs/controls.md: heading -> (picture, strip, row).
OVERVIEW_ROWS = {
    "Blend CLIP": ("blend_clip", 0, 0), "Blend T5": ("blend_t5", 0, 0), "Prompt Schedule": ("schedule", 0, 0),
    "T5 Region": ("region", 0, 1), "Block Routing": ("routing", 0, 0), "CLIP Negative": ("clip_negative", 0, 0),
    "T5 Negative": ("t5_negative", 0, 0),
}  # fmt: skip


def main() -> None:
    pipeline = Pipeline(MODELS)
    desk = Desk(pipeline)
    strips = {name: make(desk) for name, make in PICTURES.items()}
    pictures = {name: [drawn(pipeline, strip) for strip in each] for name, each in strips.items()}
    for name, each in strips.items():
        pages = [page(strip, done) for strip, done in zip(each, pictures[name], strict=True)]
        save(stacked(pages), HELP / f"{name}.jpg", LIMIT)
    pages = []
    for title, (name, number, row) in OVERVIEW_ROWS.items():
        strip = strips[name][number]
        alone = replace(strip, rows=dict([list(strip.rows.items())[row]]))
        pages.append(page(alone, pictures[name][number][row : row + 1], f"{title}. "))
    save(stacked(pages), OVERVIEW, OVERVIEW_LIMIT)


if __name__ == "__main__":
    main()
