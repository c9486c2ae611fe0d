"""Scores every measure, query, list of blocks and range of sigma on one half of the cases, and chooses. Pure torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .protocols import Score, score

SINGLE, DOUBLE, EVERY = "single", "double", "all"


@dataclass(frozen=True)
class Way:
    """A way to point: what a table's cell is about."""

    measure: str
    query: str
    blocks: str
    sigmas: str


@dataclass(frozen=True, eq=False)
class Half:
    """The objects of one half of the cases.

    `truth` and `other` are [N, h, w], `alone` and `drawn` [N] whether an object has the picture to itself, and whether
    it was drawn as asked. `at` [all objects] is which these are of all cases' objects.
    """

    truth: Tensor
    other: Tensor
    alone: Tensor
    drawn: Tensor
    at: Tensor

    def scored(self, found: Tensor) -> "Scored":
        """`found` [all objects, h, w]"""
        own = found[self.at]
        every = score(own, self.truth, self.other)
        return Scored(every, *(self._score(own, which) for which in (self.alone, ~self.alone, self.drawn)))

    def _score(self, own: Tensor, which: Tensor) -> Score | None:
        return score(own[which], self.truth[which], self.other[which]) if which.any() else None


@dataclass(frozen=True)
class Scored:
    """Of all objects, of those alone in their picture, of those beside another, and of those drawn as asked."""

    every: Score
    one: Score | None
    two: Score | None
    drawn: Score | None

    @property
    def rank(self) -> float:
        """What the default is chosen by: the sum of both protocols' IoUs."""
        return self.every.iou + self.every.miou


def halves(
    truth: Tensor, other: Tensor, objects: Sequence[int], is_train: Sequence[bool], drawn: Sequence[bool]
) -> tuple[Half, Half]:
    """(the half to choose on, the half to report). `objects` and `is_train` are each case's, `drawn` each object's."""
    count = torch.tensor(objects).repeat_interleave(torch.tensor(objects))
    train = torch.tensor(is_train).repeat_interleave(torch.tensor(objects))
    seen = torch.tensor(drawn)
    return tuple(Half(truth[at], other[at], (count == 1)[at], seen[at], at) for at in (train, ~train))


def block_choices(numbers: Sequence[int], double: int) -> dict[str, list[int]]:
    """{name: indices into `numbers`}: all, then double and single blocks if there are both, then each block."""
    kinds = {
        EVERY: list(range(len(numbers))),
        DOUBLE: [at for at, number in enumerate(numbers) if number < double],
        SINGLE: [at for at, number in enumerate(numbers) if number >= double],
    }
    if not kinds[DOUBLE] or not kinds[SINGLE]:
        kinds = {EVERY: kinds[EVERY]}
    return {**kinds, **({str(number): [at] for at, number in enumerate(numbers)} if len(numbers) > 1 else {})}


def ways(
    measure: str, query: str, numbers: Sequence[int], double: int, values: Tensor, ranges: Sequence[str]
) -> Iterator[tuple[Way, Tensor]]:
    """(Way, its maps [objects, h, w]) for all lists of blocks and all ranges.

    `values` are [objects, ranges, blocks, h, w], and `numbers` and `double` as in recording.Maps.
    """
    for name, blocks in block_choices(numbers, double).items():
        for at, sigmas in enumerate(ranges):
            yield Way(measure, query, name, sigmas), values[:, at, blocks].mean(1)


def best(found: Mapping[Way, Scored]) -> Way:
    return max(found, key=lambda way: found[way].rank)


def best_of_each(found: Mapping[Way, Scored]) -> dict[str, Way]:
    """The best way of each measure, in the measures' order."""
    names = dict.fromkeys(way.measure for way in found)
    return {name: best({way: each for way, each in found.items() if way.measure == name}) for name in names}
