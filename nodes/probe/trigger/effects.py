"""LoRA on or off, a word in or out: main effects and interaction, from velocities on the same x_t. Pure torch.

With v(L, w): a with both, b with the LoRA alone, c with the word alone, d with neither,

    the LoRA's effect       a - c with the word, b - d without it; main effect (a + b - c - d) / 2
    the word's effect       c - d without the LoRA; main effect (a + c - b - d) / 2
    the interaction         a - b - c + d: what the word changes of the LoRA's effect

The word is in the CLIP prompt alone, in the T5 prompt alone, or in both. Only squared lengths are kept.

Intervals are jackknife intervals over the seeds (Arvesen 1969) with Student's t, as in Prompt Grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy
from scipy.special import stdtrit
from torch import Tensor

NEITHER, CLIP, T5, BOTH = "neither", "clip", "t5", "both"
PLACES = (NEITHER, CLIP, T5, BOTH)  # of the word
WITH = (CLIP, T5, BOTH)
VELOCITY, FLOOR = "velocity", "floor"
LEVEL = 0.95
FEWEST = 3  # seeds that an interval needs

Values = Mapping[tuple[bool, str], Tensor]  # by (with the LoRA, the word's place)
Squares = Mapping[str, float]


def lora_at(place: str) -> str:
    """The LoRA's effect with the word there."""
    return f"lora, word in {place}"


def word_at(place: str) -> str:
    """The word's effect there without the LoRA."""
    return f"word in {place}"


def main_lora(place: str) -> str:
    return f"main effect of the lora, {place}"


def main_word(place: str) -> str:
    return f"main effect of the word, {place}"


def interaction(place: str) -> str:
    return f"interaction, {place}"


def squares(values: Values, again: Tensor) -> dict[str, float]:
    """Squared lengths by name, from velocities [1, C, h, w] on one x_t; `again` is a second value of the plain one."""
    b, d = values[True, NEITHER], values[False, NEITHER]
    found = {VELOCITY: d, FLOOR: again - d}
    for place in PLACES:
        found[lora_at(place)] = values[True, place] - values[False, place]
    for place in WITH:
        a, c = values[True, place], values[False, place]
        found |= {word_at(place): c - d, main_lora(place): (a + b - c - d) / 2, main_word(place): (a + c - b - d) / 2,
                  interaction(place): a - b - c + d}  # fmt: skip
    return {name: float(each.double().square().sum()) for name, each in found.items()}


class Estimate(NamedTuple):
    """A value and its confidence interval (low, high), None with too few seeds."""

    value: float
    interval: tuple[float, float] | None

    def is_sure(self, level: float) -> bool:
        """Whether the interval is on one side of a level; True without an interval."""
        return self.interval is None or not self.interval[0] < level < self.interval[1]


def ratio(seeds: Sequence[Sequence[Squares]], name: str, of: str = VELOCITY) -> Estimate:
    """The root of a sum of squares over that of another, over all seeds and moments."""
    sums = [[sum(each[key] for each in moments) for key in (name, of)] for moments in seeds]
    return _jackknife(numpy.array(sums), lambda kept: _root(*kept.sum(0)))


def _root(some: float, other: float) -> float:
    return math.sqrt(some / other) if other > 0 else 0.0


def _jackknife(sums: numpy.ndarray, value: Callable[[numpy.ndarray], float]) -> Estimate:
    count, whole = len(sums), value(sums)
    if count < FEWEST:
        return Estimate(whole, None)
    left = numpy.array([value(numpy.delete(sums, seed, 0)) for seed in range(count)])
    spread = float(left.std() * math.sqrt(count - 1) * stdtrit(count - 1, (1 + LEVEL) / 2))
    return Estimate(whole, (max(whole - spread, 0.0), whole + spread))
