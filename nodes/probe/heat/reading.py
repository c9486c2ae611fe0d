"""A heatmap probe's reading of one run, and the maps, masks and shares computed from it. Pure torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import torch
from torch import Tensor

from ...condition.blocks import Blocks
from ..entries import POSITIVE
from .choices import CAUSAL, CONCEPT
from .spread.spreading import Likeness

# Kinds of text rows besides the chosen words.
OTHER, END, PADS, ELSEWHERE, ALL = "other words", "end token", "pads", "other texts", "all text"
GROUPS = (OTHER, END, PADS, ELSEWHERE, ALL)
REST = "background"  # beside the words of the measure concept: all background concepts together


def kinds_of(measure: str, words: Sequence[str]) -> tuple[str, ...]:
    """What a reading's `groups` are the shares of."""
    return (*words, *{CONCEPT: (REST,), CAUSAL: ()}.get(measure, GROUPS))


@dataclass(frozen=True, eq=False)
class HeatReading:
    """`maps` [steps, blocks * heads, B, words, h * w]: the value of each word at each image token, by `measure`.

    They are float32: with peaked attention most shares are too small for half precision. Where a prompt has only a part
    of the picture (areas, masks, several entries), its maps are weighted by that part.

    `groups` [steps, blocks * heads, B, words + GROUPS]: the mean attention share of the words and of GROUPS, weighted
    by where the prompt acts. `heads` is 1 if a block's heads are averaged. The first `double` blocks are double blocks.
    `sigmas` and `numbers` are those of the steps watched. `size` is (h, w) in image tokens. `name` is unique. `role` is
    the role of the prompt that was read, and `acts` the share of the picture in which it acts.

    For the measure concept, `groups` [steps, blocks, B, words + 1] are the means of the words' maps, and what the
    background concepts have. Only the double blocks are counted, and only those `recorded` have values; None: all have.

    `repainted` [steps, B, h * w] is the repainted share of each image token; None for a run without a mask. A mask does
    not change the maps; `groups` are means over the repainted part (over everything if nothing is repainted).

    For the measure causal there is one "block", the whole model: `maps` [steps, 1, B, words, h * w] are the velocity's
    squared changes, `groups` [steps, 1, B, words] its changes relative to its length.

    `likeness` is that of the places, for the refinement `spread`; None if it was not recorded.
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
    recorded: tuple[int, ...] | None = None
    likeness: Likeness | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        return kinds_of(self.measure, self.words)

    @property
    def shares_repainted(self) -> list[float] | None:
        """The repainted share of each picture, the mean over the steps watched; None for a run without a mask."""
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
    """The steps, blocks and heads to average over; `last` is included, None for the run's last step."""

    first: int = 0
    last: int | None = None
    blocks: Blocks = Blocks()
    head: int | None = None  # None for all


def maps(reading: HeatReading, choice: Choice) -> Tensor:
    """[B, words, h, w], float32: the mean over the chosen steps, blocks and heads. Raises ValueError as `chosen`."""
    steps, blocks = chosen(reading, choice)
    total = sum(reading.maps[step][blocks].float().mean(0) for step in steps)  # step by step, to save memory
    return (total / len(steps)).unflatten(-1, reading.size)


def chosen(reading: HeatReading, choice: Choice) -> tuple[list[int], list[int]]:
    """Indices into a reading's first two dimensions: the chosen steps, and the chosen heads of the chosen blocks.

    Raises ValueError if no step or block is chosen, or a head that the reading does not have.
    """
    last = max(reading.numbers, default=-1) if choice.last is None else choice.last
    steps = [index for index, number in enumerate(reading.numbers) if choice.first <= number <= last]
    recorded = range(reading.blocks) if reading.recorded is None else reading.recorded
    is_whole = reading.measure == CAUSAL  # of the whole model
    named = recorded if is_whole else choice.blocks.within(reading.double, reading.blocks - reading.double)
    blocks = [block for block in recorded if block in named]
    if not steps or not blocks:
        raise ValueError(
            f"Token Heatmap: no {'step' if blocks else 'block'} is chosen. The record has steps "
            f"{', '.join(map(str, reading.numbers))} and blocks "
            + (f"0 to {reading.blocks - 1}." if reading.recorded is None else f"{', '.join(map(str, recorded))}.")
        )
    heads = _heads(reading, choice.head)
    return steps, [block * reading.heads + head for block in blocks for head in heads]


def _heads(reading: HeatReading, head: int | None) -> Sequence[int]:
    if head is None:
        return range(reading.heads)
    if reading.heads == 1:
        raise ValueError(
            f"Token Heatmap: head {head} is chosen, but the mean of all heads was recorded. Set `heads` to apart "
            "and sample again, or set `attention head` to -1."
        )
    if head >= reading.heads:
        raise ValueError(
            f"Token Heatmap: head {head} is chosen, but this model's blocks have heads 0 to {reading.heads - 1}."
        )
    return (head,)


def masses(reading: HeatReading, choice: Choice, picture: int | None = None) -> dict[str, float]:
    """The share of the image tokens' attention that goes to each word and to each of GROUPS; see HeatReading.

    For one picture of a batch, or the mean of all. Words may overlap ("red", "red circle"), so the image's own share is
    1 minus that of "all text".
    """
    steps, blocks = chosen(reading, choice)
    pictures = slice(None) if picture is None else slice(picture, picture + 1)
    values = reading.groups[steps][:, blocks, pictures].float().mean((0, 1, 2)).tolist()
    return dict(zip(reading.kinds, values, strict=True))


def of_image(shares: Mapping[str, float]) -> float | None:
    """The share of the image tokens' attention that stays among them; None for the measure concept."""
    return 1 - shares[ALL] if ALL in shares else None


def counts(reading: HeatReading, choice: Choice) -> Tensor | None:
    """[B, h, w], bool: image tokens that were at least partly repainted in the chosen steps; None without a mask."""
    if reading.repainted is None:
        return None
    steps, _ = chosen(reading, choice)
    return (reading.repainted[steps] > 0).any(0).unflatten(-1, reading.size)


def span(found: Tensor, counted: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """[B, words, h, w] -> (minimum, maximum) of each map [B, words], over `counted` [B, h, w] if any of it is True."""
    flat = found.flatten(-2)
    if counted is None:
        return flat.amin(-1), flat.amax(-1)
    out = (counted.any(-1).any(-1)[:, None, None] & ~counted)[:, None].flatten(-2)  # [B, 1, h * w]
    return flat.masked_fill(out, torch.inf).amin(-1), flat.masked_fill(out, -torch.inf).amax(-1)


def masks(found: Tensor, counted: Tensor | None = None) -> Tensor:
    """[B, words, h, w] -> the same shape, 0 to 1: each map scaled from its minimum to its maximum (`span`).

    Values outside of that range, at places that are not counted, are clamped.
    """
    low, high = (each[..., None, None] for each in span(found, counted))
    values = (found - low) / (high - low).clamp_min(1e-12)
    return values if counted is None else values.clamp(0, 1)


def otsu(found: Tensor, counted: Tensor | None = None) -> Tensor:
    """Maps [..., h, w] of 0 to 1 -> bool: True above the threshold that separates each map best (Otsu 1979).

    With `counted` [B, h, w] the maps are [B, words, h, w]: only counted places are used, and all others are False.
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
