"""A heatmap probe's reading of one run, and what is made of it afterwards without sampling again. Pure torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import torch
from torch import Tensor

from ...condition.blocks import Blocks
from ..entries import POSITIVE

MASS, FLOW, OUTPUT = "mass", "flow", "output"
# What a text row may be, beside one of the chosen words.
OTHER, END, PADS, ELSEWHERE, ALL = "other words", "end token", "pads", "other texts", "all text"
GROUPS = (OTHER, END, PADS, ELSEWHERE, ALL)
ALL_HEADS = -1  # where the heads of a block are chosen by number


@dataclass(frozen=True, eq=False)
class HeatReading:
    """`maps` [steps, blocks * heads, B, words, h * w]: what each image token has of each word, by `measure`.

    They are float32: of peaked attention most shares are far below what half precision can tell from 0. Where a prompt
    has only a part of the picture (areas, masks, several entries), its maps are weighted by that part.

    `groups` [steps, blocks * heads, B, words + GROUPS]: the mean share of the attention that the words, and GROUPS,
    take, where and as far as the prompt acts. `heads` is 1 where a block's heads are averaged; the first `double`
    blocks are double. `sigmas` are those of the steps seen, `numbers` their numbers in the run. `name` tells it from
    every other reading. `role` says which of the guider's prompts it is of, and `acts` how much of the picture that
    prompt has.

    `repainted` [steps, B, h * w] is how much of each image token was; None for a run without a mask. Maps are as
    without one; `groups` are means over what is repainted (over all of it where that is nothing).
    """

    measure: str
    words: tuple[str, ...]
    maps: Tensor
    groups: Tensor
    sigmas: tuple[float, ...]
    numbers: tuple[int, ...]
    double: int
    size: tuple[int, int]
    name: str = field(default_factory=lambda: uuid4().hex)
    heads: int = 1
    role: str = POSITIVE
    acts: float = 1.0
    repainted: Tensor | None = None

    @property
    def shares_repainted(self) -> list[float] | None:
        """How much of each picture was repainted, the mean over the steps seen; None for a run without a mask."""
        return None if self.repainted is None else self.repainted.mean((0, 2)).tolist()

    @property
    def pictures(self) -> int:
        return self.maps.shape[2]

    @property
    def blocks(self) -> int:
        return self.maps.shape[1] // self.heads

    def bytes(self) -> int:
        return self.maps.numel() * self.maps.element_size()


@dataclass(frozen=True)
class Choice:
    """Which steps (of the run, `last` included, None for the end), blocks and heads are taken together."""

    first: int = 0
    last: int | None = None
    blocks: Blocks = Blocks()
    head: int | None = None  # None for all


def maps(reading: HeatReading, choice: Choice) -> Tensor:
    """[B, words, h, w], float32: the mean over the chosen steps and blocks. Raises ValueError if none is chosen."""
    steps, blocks = chosen(reading, choice)
    total = sum(reading.maps[step][blocks].float().mean(0) for step in steps)  # a step at a time
    return (total / len(steps)).unflatten(-1, reading.size)


def chosen(reading: HeatReading, choice: Choice) -> tuple[list[int], list[int]]:
    """The indices of the chosen steps, and of the chosen blocks' heads, in a reading."""
    last = max(reading.numbers, default=-1) if choice.last is None else choice.last
    steps = [index for index, number in enumerate(reading.numbers) if choice.first <= number <= last]
    blocks = sorted(choice.blocks.within(reading.double, reading.blocks - reading.double))
    if not steps or not blocks:
        raise ValueError(
            f"Token Heatmap: no {'step' if blocks else 'block'} is chosen. The probe has seen steps "
            f"{', '.join(map(str, reading.numbers))} and blocks 0 to {reading.blocks - 1}."
        )
    heads = _heads(reading, choice.head)
    return steps, [block * reading.heads + head for block in blocks for head in heads]


def _heads(reading: HeatReading, head: int | None) -> Sequence[int]:
    if head is None:
        return range(reading.heads)
    if reading.heads == 1:
        raise ValueError(
            f"Token Heatmap: head {head} is chosen, but the probe has averaged the heads. Switch its `heads` to apart "
            "and sample again, or choose head -1, for all."
        )
    if head >= reading.heads:
        raise ValueError(
            f"Token Heatmap: head {head} is chosen, but this model's blocks have heads 0 to {reading.heads - 1}."
        )
    return (head,)


def masses(reading: HeatReading, choice: Choice, picture: int | None = None) -> dict[str, float]:
    """The share of the picture's attention that each word and each other kind of text row takes; the rest is image.

    Of one picture of a batch, or of all. Words may overlap ("red", "red circle"), so it is "all text" that leaves the
    rest to the image.
    """
    steps, blocks = chosen(reading, choice)
    pictures = slice(None) if picture is None else slice(picture, picture + 1)
    values = reading.groups[steps][:, blocks, pictures].float().mean((0, 1, 2)).tolist()
    return dict(zip((*reading.words, *GROUPS), values, strict=True))


def counts(reading: HeatReading, choice: Choice) -> Tensor | None:
    """[B, h, w], bool: which places count, since something of them was repainted in the chosen steps; None for all."""
    if reading.repainted is None:
        return None
    steps, _ = chosen(reading, choice)
    return (reading.repainted[steps] > 0).any(0).unflatten(-1, reading.size)


def span(found: Tensor, counted: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """[B, words, h, w] -> [B, words]: the least and the most of each map, among the places that count if any do."""
    flat = found.flatten(-2)
    if counted is None:
        return flat.amin(-1), flat.amax(-1)
    out = (counted.any(-1).any(-1)[:, None, None] & ~counted)[:, None].flatten(-2)  # [B, 1, h * w]
    return flat.masked_fill(out, torch.inf).amin(-1), flat.masked_fill(out, -torch.inf).amax(-1)


def masks(found: Tensor, counted: Tensor | None = None) -> Tensor:
    """[B, words, h, w] -> the same from 0 to 1: each word's map from its least to its most (span).

    Places that do not count, and are beyond that, have its ends.
    """
    low, high = (each[..., None, None] for each in span(found, counted))
    values = (found - low) / (high - low).clamp_min(1e-12)
    return values if counted is None else values.clamp(0, 1)


def otsu(found: Tensor, counted: Tensor | None = None) -> Tensor:
    """Maps of 0 to 1 [..., h, w] -> bool: what is above the threshold that parts each map best (Otsu 1979).

    With `counted` [B, h, w], of [B, words, h, w] the places that count alone; all others are False.
    """
    if counted is None:
        return _above(found.flatten(-2)).unflatten(-1, found.shape[-2:])
    out = torch.zeros_like(found, dtype=torch.bool)
    for picture, where in enumerate(counted):
        if where.sum() > 1:
            out[picture][:, where] = _above(found[picture][:, where])
    return out


def _above(flat: Tensor) -> Tensor:
    ordered = flat.sort(-1).values
    count = torch.arange(1, flat.shape[-1], device=flat.device)
    below = ordered.cumsum(-1)[..., :-1] / count
    above = (ordered.sum(-1, keepdim=True) - ordered.cumsum(-1)[..., :-1]) / (flat.shape[-1] - count)
    between = count * (flat.shape[-1] - count) * (above - below) ** 2
    at = between.argmax(-1, keepdim=True)
    return flat > (ordered.gather(-1, at) + ordered.gather(-1, at + 1)) / 2
