"""Prompt weights such as `(word:1.3)`: parsing as in ComfyUI, and their effect on CLIP's `vec`. Pure torch.

ComfyUI scales rows of CLIP-L that FLUX.1 does not use, so its weights have no effect on `vec`. Here a weight moves
`vec` along the line from the prompt without the weighted words (weight 0) to the plain prompt (1), and beyond.
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

REMEMBERED = 4000  # characters: the results for longer texts are too large to cache
DEEPEST = 500  # nested parentheses: ComfyUI's parser recurses for each level, and Python's limit is about 1,000


class TooDeep(ValueError):
    """Parentheses nested deeper than DEEPEST."""

    # ComfyUI shows the type of an error with its module, which for this class would be the path of this file.
    __module__, __qualname__ = "builtins", "ValueError"

    def __init__(self):
        super().__init__(
            f"The prompt has more than {DEEPEST} nested parentheses, which is too deep. Close some, or write "
            "\\( and \\) for plain ones."
        )


class Segment(NamedTuple):
    """Text of one weight: its offsets `start` and `end` in the user's text, and `text` without escaping backslashes."""

    start: int
    end: int
    text: str
    weight: float


class WeightGroup(NamedTuple):
    """A pair of parentheses: the offsets of the words in it, its weight, and the weight of the text around it."""

    start: int
    end: int
    weight: float
    around: float
    implied: bool  # it has no number, so plain parentheses may be meant
    doubtful: bool = False  # the number may not be meant as a weight, see weight_number.py
    whole: tuple[int, int] = (0, 0)  # offsets including both parentheses

    @property
    def change(self) -> float:
        """The difference of the weights inside and around; 0 has no effect."""
        return self.weight - self.around


@dataclass(frozen=True)
class Weighted:
    """A parsed prompt. The segments are the text without parentheses and numbers, in order.

    `refused` are the offsets (start, end) of parentheses that are a weight in ComfyUI but text here; `places` are the
    offsets of these parentheses.
    """

    source: str
    segments: tuple[Segment, ...]
    groups: tuple[WeightGroup, ...]
    refused: tuple[tuple[int, int], ...] = ()
    places: tuple[int, ...] = ()

    @property
    def native(self) -> str:
        """The text that ComfyUI parses into these segments: the source, with refused parentheses escaped."""
        edges = [0, *self.places, len(self.source)]
        return "\\".join(self.source[start:end] for start, end in pairwise(edges))

    def plain(self, without: WeightGroup | None = None) -> str:
        """The prompt with every weight 1, for ComfyUI; the words of the group `without` are left out.

        Each segment keeps its own parentheses, because ComfyUI tokenizes segments separately: so the tokens are the
        same.
        """
        if not self.groups:
            return self.native
        left = [each for each in self.segments if without is None or not _within(each, without)]
        return "".join(f"({escape(each.text)}:1.0)" for each in left)

    def words(self, group: WeightGroup) -> str:
        """The text in a group, without weights."""
        first = bisect_left(self.segments, group.start, key=attrgetter("start"))
        after = bisect_right(self.segments, group.end, key=attrgetter("end"))
        return "".join(each.text for each in self.segments[first:after])

    def written(self, places: tuple[int, int]) -> str:
        """The source from one offset to another."""
        return self.source[slice(*places)]


def _within(segment: Segment, group: WeightGroup) -> bool:
    return group.start <= segment.start and segment.end <= group.end


def parse(text: str, strict: bool = False) -> Weighted:
    r"""Parses `(words:1.3)`, `(words)` for 1.1, nesting, and `\(` `\)` for plain parentheses, in linear time.

    Of nested numbers the inner one counts; parentheses without a number multiply by 1.1. The segments are exactly those
    of comfy/sd1_clip.py, `token_weights`, including cases such as unclosed parentheses, with one exception: numbers
    that are no weights by weight_number.py (NaN, infinity, beyond 1000) are text with their parentheses. With `strict`,
    as for CLIP, so are doubtful ones: `(16:9)`, `(12:30)`, numbers beyond 10. Raises TooDeep for nesting deeper than
    DEEPEST, and nothing else.
    """
    return _parse(text, strict) if len(text) > REMEMBERED else _remembered(text, strict)


def _parse(text: str, strict: bool) -> Weighted:
    # Both have two characters, so offsets do not change.
    hidden = text.replace("\\)", "\0\1").replace("\\(", "\0\2")
    refused: set[tuple[int, int]] = set()
    while True:  # refused parentheses may change the meaning of those around them; the second pass finds no more
        places = {place for first, last in refused for place in (first, last - 1)}
        segments, groups, more = _read(Parentheses(hidden, places), strict)
        if not more:
            return Weighted(text, tuple(segments), tuple(groups), tuple(sorted(refused)), tuple(sorted(places)))
        refused.update(more)


# The same text is parsed for both encoders, and again for the notes.
_remembered = lru_cache(maxsize=8)(_parse)


def _read(parentheses: Parentheses, strict: bool) -> tuple[list[Segment], list[WeightGroup], list[tuple[int, int]]]:
    """Segments, groups, and the offsets (start, end) of groups whose number is no weight."""
    hidden = parentheses.text
    segments: list[Segment] = []
    groups: list[WeightGroup] = []
    refused: list[tuple[int, int]] = []
    levels = [(parentheses.items(parentheses.whole), 1.0)]  # a stack of (remaining items, weight)
    while levels:
        items, weight = levels[-1]
        item = next(items, None)
        if item is None:
            levels.pop()
        elif item.held is None:
            text = hidden[item.start : item.end].replace("\0\1", ")").replace("\0\2", "(")
            segments.append(Segment(item.start, item.end, text, weight))
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
    """A pair of parentheses as a group, and the kind of its number: WEIGHT, DOUBTFUL or TEXT."""
    hidden, held = parentheses.text, item.held
    behind = parentheses.behind(held)
    end, found = number(hidden, held.start, held.end, behind)
    weight = around * IMPLIED if found is None else found
    written = None if found is None else hidden[end + 1 : held.end]
    kind = judged(weight, hidden[behind:end], written)
    return WeightGroup(held.start, end, weight, around, found is None, kind != WEIGHT, (item.start, item.end)), kind


def escape(text: str) -> str:
    r"""The text with parentheses escaped, so that ComfyUI finds no weights: `(` becomes `\(`."""
    return re.sub(r"([()])", r"\\\1", text)


def move(plain: Tensor, removed: Sequence[tuple[Tensor, float]]) -> Tensor:
    """vec [B, 768] with weights: plain + the sum of change * (plain - without) over all groups.

    `plain` [B, 768] is the vec of the plain prompt; `removed` has for each group (vec without its words, change). With
    one group, weight 0 equals the prompt without its words bit for bit, and weight 1 the plain prompt.
    """
    if len(removed) == 1:
        ((without, change),) = removed
        return torch.lerp(without, plain, 1 + change)
    return plain + sum(change * (plain - without) for without, change in removed)


def bias(given: Sequence[float]) -> Tensor:
    """T5 tokens' weights -> bias [1, L] on the logits of their columns: log w. Weights below 0 count as 0."""
    return torch.tensor([given]).clamp(min=0).log()


# ---- notes for the user


def clip_notes(prompt: Weighted, idle: Sequence[WeightGroup]) -> list[str]:
    """Notes on weights in a CLIP prompt: those without effect (`idle`), doubtful ones, implied ones."""
    words = [shorten(prompt.words(group), 60) for group in idle]
    notes = [f"The weight of '{each}' has no effect, because CLIP-L does not read these words." for each in words]
    return notes + doubts(prompt, "CLIP") + implied(prompt)


def t5_notes(prompt: Weighted, mode: str) -> list[str]:
    """Notes on weights in a T5 prompt: those below 0 in mode 'attention', doubtful ones, implied ones."""
    if mode == OFF:
        return []
    below = [shorten(prompt.words(group), 60) for group in prompt.groups if group.weight < 0]
    notes = [
        f"The weight of '{words}' is below 0: mode 'attention' treats it as 0." for words in below if mode == ATTENTION
    ]
    return notes + doubts(prompt, "T5") + implied(prompt)


def doubts(prompt: Weighted, encoder: str) -> list[str]:
    """Notes on numbers that are text for this encoder ("CLIP" or "T5"), and on weights that may not be meant so."""
    notes = []
    if prompt.refused:
        rule = {
            "CLIP": f"A weight is a number from -{SURE:g} to {SURE:g}; after a digit it has a point, as in (12:1.5).",
            "T5": f"A weight is a number from -{MOST:g} to {MOST:g}.",
        }[encoder]
        refused = quoted([prompt.written(places) for places in prompt.refused])
        notes.append(f"{encoder} reads this as text, not as a weight: {refused}. {rule}")
    doubtful = [prompt.written(group.whole) for group in prompt.groups if group.doubtful and not group.implied]
    if doubtful:
        notes.append(
            f"{encoder} reads this as a weight, as ComfyUI does: {quoted(doubtful)}. If it is text, write \\( and \\)."
        )
    return notes


def implied(prompt: Weighted) -> list[str]:
    """A note on parentheses without a number, which are weights, perhaps by accident; outer ones only."""
    found, end = [], 0
    for group in prompt.groups:  # an outer group comes before those inside it
        if group.implied and group.change and group.start >= end:
            found.append(prompt.written(group.whole))
            end = group.end
    if not found:
        return []
    return [f"These words have weight {IMPLIED}, as in ComfyUI: {quoted(found)}. For plain text, write \\( and \\)."]
