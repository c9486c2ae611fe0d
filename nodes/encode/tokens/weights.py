"""Prompt weights: `(word:1.3)`, read as ComfyUI reads it, and what a weight does to CLIP's `vec`. Pure torch.

ComfyUI scales rows of CLIP-L that FLUX.1 never looks at, so its weights change `vec` by exactly nothing. Here a weight
moves `vec` along the line from the prompt without the weighted words (0) to the plain prompt (1), and on past it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

import torch
from torch import Tensor

from ...quoting import quoted, shorten
from ..choices import ATTENTION, OFF
from .parentheses import Item, Parentheses, Range
from .weight_number import DOUBTFUL, MOST, SURE, TEXT, WEIGHT, judged, number

IMPLIED = 1.1  # what parentheses without a number multiply by

REMEMBERED = 4000  # characters of a text whose reading is kept; those of longer ones are thousands of objects
DEEPEST = 500  # parentheses in parentheses: ComfyUI's parser calls itself for each, which Python ends near 1,000


class TooDeep(ValueError):
    """Parentheses in parentheses, deeper than ComfyUI can read them."""

    # ComfyUI shows a user the type of an error with its module, which for ours is the path of this file.
    __module__, __qualname__ = "builtins", "ValueError"

    def __init__(self):
        super().__init__(
            f"Got more than {DEEPEST} parentheses in parentheses in a prompt, which is too deep to read. Close some, "
            "or write \\( and \\) for plain ones."
        )


class Segment(NamedTuple):
    """Text of one weight: `start` and `end` in what the user wrote, `text` without the backslashes of escapes."""

    start: int
    end: int
    text: str
    weight: float


class WeightGroup(NamedTuple):
    """A pair of parentheses: the words within, from `start` to `end`, its weight, and that of what is around it."""

    start: int
    end: int
    weight: float
    around: float
    implied: bool  # there is no number: meant as a weight, or simply as parentheses
    doubtful: bool = False  # the number may be meant as none, see weight_number.py
    whole: tuple[int, int] = (0, 0)  # from the opening parenthesis to behind the closing one

    @property
    def change(self) -> float:
        """How much weight these parentheses add to what they hold; 0 has no effect."""
        return self.weight - self.around


@dataclass(frozen=True)
class Weighted:
    """A prompt taken apart. The segments are all of the text but parentheses and numbers, in order.

    `refused` says from where to where there are parentheses that look like a weight to ComfyUI and are text here, and
    `places` where these parentheses stand.
    """

    source: str
    segments: tuple[Segment, ...]
    groups: tuple[WeightGroup, ...]
    refused: tuple[tuple[int, int], ...] = ()
    places: tuple[int, ...] = ()

    @property
    def native(self) -> str:
        """The text in which ComfyUI finds these segments: the source, but for backslashes before what is text here."""
        edges = [0, *self.places, len(self.source)]
        return "\\".join(self.source[start:end] for start, end in pairwise(edges))

    def plain(self, without: WeightGroup | None = None) -> str:
        """The prompt with every weight at 1, for ComfyUI; `without` leaves out a group's words, nested ones too.

        Each segment keeps parentheses of its own, because ComfyUI tokenizes them one by one: the tokens stay the same.
        """
        if not self.groups:
            return self.native
        left = [each for each in self.segments if without is None or not _within(each, without)]
        return "".join(f"({escape(each.text)}:1.0)" for each in left)

    def words(self, group: WeightGroup) -> str:
        """What a group holds, as it reads."""
        first = bisect_left(self.segments, group.start, key=attrgetter("start"))
        after = bisect_right(self.segments, group.end, key=attrgetter("end"))
        return "".join(each.text for each in self.segments[first:after])

    def written(self, places: tuple[int, int]) -> str:
        """A part of the source."""
        return self.source[slice(*places)]


def _within(segment: Segment, group: WeightGroup) -> bool:
    return group.start <= segment.start and segment.end <= group.end


def parse(text: str, strict: bool = False) -> Weighted:
    r"""Takes `(words:1.3)`, `(words)` for 1.1, nesting, and `\(` `\)` for plain parentheses.

    Nothing is an error but nesting deeper than DEEPEST, which raises TooDeep. Takes time as the text is long.

    The inner number of two counts; parentheses without one multiply by 1.1. The segments are exactly those of
    comfy/sd1_clip.py, `token_weights`, odd cases such as parentheses that never close included; but what
    weight_number.py says is no weight is text with its parentheses, as if they were escaped: NaN, infinity,
    numbers beyond 1000. If `strict`, as for CLIP, so is what may be none: `(16:9)`, `(12:30)`, numbers beyond 10.
    """
    return _parse(text, strict) if len(text) > REMEMBERED else _remembered(text, strict)


def _parse(text: str, strict: bool) -> Weighted:
    # Two characters for two: every place stays where it was.
    hidden = text.replace("\\)", "\0\1").replace("\\(", "\0\2")
    refused: set[tuple[int, int]] = set()
    while True:  # parentheses that are text may change what others around them mean; the second look finds no more
        places = {place for first, last in refused for place in (first, last - 1)}
        segments, groups, more = _read(Parentheses(hidden, places), strict)
        if not more:
            return Weighted(text, tuple(segments), tuple(groups), tuple(sorted(refused)), tuple(sorted(places)))
        refused.update(more)


# Both streams read the same text, and what there is to tell of it is asked for then.
_remembered = lru_cache(maxsize=8)(_parse)


def _read(parentheses: Parentheses, strict: bool) -> tuple[list[Segment], list[WeightGroup], list[tuple[int, int]]]:
    """Segments, groups, and from where to where there are groups whose weight is none."""
    hidden = parentheses.text
    segments: list[Segment] = []
    groups: list[WeightGroup] = []
    refused: list[tuple[int, int]] = []
    levels = [(parentheses.items(parentheses.whole), 1.0)]  # what is left to read, and its weight
    while levels:
        items, weight = levels[-1]
        item = next(items, None)
        if item is None:
            levels.pop()
        elif item.held is None:
            said = hidden[item.start : item.end].replace("\0\1", ")").replace("\0\2", "(")
            segments.append(Segment(item.start, item.end, said, weight))
        elif len(levels) > DEEPEST:
            raise TooDeep()
        else:
            group, kind = _group(parentheses, item, weight)
            if kind == TEXT or (strict and kind == DOUBTFUL):
                refused.append(group.whole)
                levels.append((parentheses.items(item.held), weight))
            else:
                groups.append(group)
                levels.append((parentheses.items(Range(item.held.start, group.end, *item.held[2:])), group.weight))
    return segments, groups, refused


def _group(parentheses: Parentheses, item: Item, around: float) -> tuple[WeightGroup, str]:
    """A pair of parentheses as a group, and what its weight is: WEIGHT, DOUBTFUL or TEXT."""
    hidden, held = parentheses.text, item.held
    behind = parentheses.behind(held)
    end, found = number(hidden, held.start, held.end, behind)
    weight = around * IMPLIED if found is None else found
    written = None if found is None else hidden[end + 1 : held.end]
    kind = judged(weight, hidden[behind:end], written)
    return WeightGroup(held.start, end, weight, around, found is None, kind != WEIGHT, (item.start, item.end)), kind


def escape(text: str) -> str:
    r"""Text in which ComfyUI finds no weights: `(` becomes `\(`."""
    return re.sub(r"([()])", r"\\\1", text)


def move(plain: Tensor, removed: Sequence[tuple[Tensor, float]]) -> Tensor:
    """vec of the plain prompt [B, 768], and for each group vec of the prompt without it and the group's change -> vec.

    vec = plain + sum of change * (plain - without): for one group, weight 0 is the prompt without its words, to the
    last bit, and weight 1 the plain prompt.
    """
    if len(removed) == 1:
        ((without, change),) = removed
        return torch.lerp(without, plain, 1 + change)
    return plain + sum(change * (plain - without) for without, change in removed)


def bias(given: Sequence[float]) -> Tensor:
    """T5 tokens' weights -> [1, L], what to add to the logits of their columns: log w. Below 0 counts as 0."""
    return torch.tensor([given]).clamp(min=0).log()


# ---- what to tell


def clip_notes(prompt: Weighted, idle: Sequence[WeightGroup]) -> list[str]:
    """What a user should know of weights in a CLIP prompt: those that change nothing, and those that may be none."""
    words = [shorten(prompt.words(group), 60) for group in idle]
    told = [f"The weight of '{each}' has no effect: CLIP-L does not read these words." for each in words]
    return told + doubts(prompt, "CLIP") + implied(prompt)


def t5_notes(prompt: Weighted, mode: str) -> list[str]:
    """The same for a T5 prompt."""
    if mode == OFF:
        return []
    below = [shorten(prompt.words(group), 60) for group in prompt.groups if group.weight < 0]
    told = [f"A weight below 0 acts as 0 in mode 'attention': '{words}'." for words in below if mode == ATTENTION]
    return told + doubts(prompt, "T5") + implied(prompt)


def doubts(prompt: Weighted, stream: str) -> list[str]:
    """Says which numbers are text here, and which are weights although they may not be meant so."""
    told = []
    if prompt.refused:
        rule = {
            "CLIP": f"A weight is a number from -{SURE:g} to {SURE:g}; after a digit it has a point, as in (12:1.5).",
            "T5": f"A weight is a number from -{MOST:g} to {MOST:g}.",
        }[stream]
        said = quoted([prompt.written(places) for places in prompt.refused])
        told.append(f"{stream} reads as text, not as a weight: {said}. {rule}")
    doubtful = [prompt.written(group.whole) for group in prompt.groups if group.doubtful and not group.implied]
    if doubtful:
        told.append(
            f"{stream} reads as a weight, as in ComfyUI, what may be meant as text: {quoted(doubtful)}. For text write "
            "\\( and \\)."
        )
    return told


def implied(prompt: Weighted) -> list[str]:
    """Says which parentheses became weights without a number, perhaps by accident; those within others not again."""
    meant, end = [], 0
    for group in prompt.groups:  # an outer one comes before those in it
        if group.implied and group.change and group.start >= end:
            meant.append(prompt.written(group.whole))
            end = group.end
    if not meant:
        return []
    return [f"Weighted by {IMPLIED}, as in ComfyUI: {quoted(meant)}. For plain parentheses write \\( and \\)."]
