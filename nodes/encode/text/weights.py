"""Prompt weights: `(word:1.3)`, read as ComfyUI reads it, and what a weight does to CLIP's `vec`. Pure torch.

ComfyUI scales rows of CLIP-L that FLUX.1 never looks at, so its weights change `vec` by exactly nothing. Here a weight
moves `vec` along the line from the prompt without the weighted words (0) to the plain prompt (1), and on past it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

PARENTHESIS = re.compile("[()]")
IMPLIED = 1.1  # what parentheses without a number multiply by

# How weights act on T5's rows. Embedding: as in ComfyUI, each row moves away from the empty prompt's row. Attention:
# the image looks at a token as much as if it stood there so many times. Off: parentheses are text.
EMBEDDING, ATTENTION, OFF = "embedding", "attention", "off"
MODES = (EMBEDDING, ATTENTION, OFF)


@dataclass(frozen=True)
class Segment:
    """Text of one weight: `start` and `end` in what the user wrote, `text` without the backslashes of escapes."""

    start: int
    end: int
    text: str
    weight: float


@dataclass(frozen=True)
class Group:
    """A pair of parentheses: the words within, from `start` to `end`, its weight, and that of what is around it."""

    start: int
    end: int
    weight: float
    around: float
    implied: bool  # there is no number: meant as a weight, or simply as parentheses

    @property
    def change(self) -> float:
        """How much weight these parentheses add to what they hold; 0 has no effect."""
        return self.weight - self.around


@dataclass(frozen=True)
class Weighted:
    """A prompt taken apart. The segments are all of the text but parentheses and numbers, in order."""

    source: str
    segments: tuple[Segment, ...]
    groups: tuple[Group, ...]

    def plain(self, without: Group | None = None) -> str:
        """The prompt with every weight at 1, for ComfyUI; `without` leaves out a group's words, nested ones too.

        Each segment keeps parentheses of its own, because ComfyUI tokenizes them one by one: the tokens stay the same.
        """
        if not self.groups:
            return self.source
        left = [each for each in self.segments if without is None or not _within(each, without)]
        return "".join(f"({escape(each.text)}:1.0)" for each in left)

    def words(self, group: Group) -> str:
        """What a group holds, as it reads."""
        return "".join(each.text for each in self.segments if _within(each, group))


def _within(segment: Segment, group: Group) -> bool:
    return group.start <= segment.start and segment.end <= group.end


@lru_cache(maxsize=4)  # both roads read the same text, and what there is to tell of it is asked for then
def parse(text: str) -> Weighted:
    r"""Takes `(words:1.3)`, `(words)` for 1.1, nesting, and `\(` `\)` for plain parentheses; nothing is an error.

    The inner number of two counts; parentheses without one multiply by 1.1. The segments are exactly those of
    comfy/sd1_clip.py, `token_weights`, odd cases such as parentheses that never close included.
    """
    # Two characters for two: every place stays where it was.
    hidden = text.replace("\\)", "\0\1").replace("\\(", "\0\2")
    segments: list[Segment] = []
    groups: list[Group] = []

    def read(start: int, end: int, weight: float) -> None:
        for first, last in _items(hidden, start, end):
            if last - first >= 2 and hidden[first] == "(" and hidden[last - 1] == ")":
                inner_end, number = _number(hidden, first + 1, last - 1)
                inner = weight * IMPLIED if number is None else number
                groups.append(Group(first + 1, inner_end, inner, weight, implied=number is None))
                read(first + 1, inner_end, inner)
            else:
                said = hidden[first:last].replace("\0\1", ")").replace("\0\2", "(")
                segments.append(Segment(first, last, said, weight))

    read(0, len(hidden), 1.0)
    return Weighted(text, tuple(segments), tuple(groups))


def escape(text: str) -> str:
    r"""Text in which ComfyUI finds no weights: `(` becomes `\(`."""
    return re.sub(r"([()])", r"\\\1", text)


def _items(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The places where parentheses of the lowest level begin and end, as parse_parentheses in ComfyUI has them."""
    items, depth, first = [], 0, start
    for parenthesis in PARENTHESIS.finditer(text, start, end):
        place = parenthesis.start()
        if text[place] == "(":
            if depth == 0 and place > first:
                items.append((first, place))
                first = place
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                items.append((first, place + 1))
                first = place + 1
    return [*items, (first, end)] if first < end else items


def _number(text: str, start: int, end: int) -> tuple[int, float | None]:
    """Where the words of a group end, and the number after its last colon, if there is one."""
    colon = text.rfind(":", start, end)
    if colon > start:
        try:
            return colon, float(text[colon + 1 : end])
        except ValueError:
            pass
    return end, None


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


def clip_notes(prompt: Weighted, idle: Sequence[Group]) -> list[str]:
    """What a user should know of weights in a CLIP prompt: those that change nothing, and those that may be none."""
    told = [f"The weight of '{prompt.words(group)}' has no effect: CLIP-L does not read these words." for group in idle]
    return told + implied(prompt)


def t5_notes(prompt: Weighted, mode: str) -> list[str]:
    """The same for a T5 prompt."""
    if mode == OFF:
        return []
    below = [prompt.words(group) for group in prompt.groups if group.weight < 0]
    told = [f"A weight below 0 acts as 0 in mode 'attention': '{words}'." for words in below if mode == ATTENTION]
    return told + implied(prompt)


def implied(prompt: Weighted) -> list[str]:
    """Says which parentheses became weights without a number, perhaps by accident."""
    meant = [prompt.words(group) for group in prompt.groups if group.implied and group.change]
    if not meant:
        return []
    said = ", ".join(f"({words})" for words in meant)
    return [f"Weighted by {IMPLIED}, as in ComfyUI: {said}. For plain parentheses write \\( and \\)."]
