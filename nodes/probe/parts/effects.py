"""What each part of a LoRA changes of the velocity, from its values with sets of parts on one x_t. Pure torch.

v(S) is the velocity with the parts in S. The whole effect is E = v(all) - v(none). A part's effect alone is
v(part) - v(none), left out it is v(all) - v(all but it). Shapley's value (1953) is the mean, over all orders in which
parts could be added, of what a part adds:

    phi(i) = sum over S without i:  |S|! (n - |S| - 1)! / n!  (v(S and i) - v(S))

They add up to E, so the shares <phi(i), E> / |E|^2 add up to 1. Above MOST parts all sets are too many: then phi is the
mean of alone and left out, which is Shapley's value where parts interact in pairs alone, and adds up nearly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from ..repainted import mean_square

MOST = 5  # parts of which all sets are evaluated: 32
Set = frozenset[str]
Values = Mapping[Set, Tensor]


def is_exact(parts: Sequence[str]) -> bool:
    return len(parts) <= MOST


def sets_of(parts: Sequence[str]) -> list[Set]:
    """The sets to evaluate: all, or none, each part, all but each part, and all. From the largest to the smallest."""
    count = len(parts)
    sizes = range(count + 1) if is_exact(parts) else {0, 1, count - 1, count}
    return [frozenset(each) for size in sorted(sizes, reverse=True) for each in combinations(parts, size)]


@dataclass(frozen=True, eq=False)
class PartEffects:
    """The effects at one moment, as lengths: `velocity`, `whole`, `together`, `floor` [B]; the rest by part [P, B].

    `together` is the length of E minus the sum of what the parts do alone. `dots` are <phi, E>, `own` is |phi|. `maps`
    [P, B, H, W] are |phi| at each latent pixel, relative to the velocity's root mean square. `floor` is the difference
    between two evaluations of the same.
    """

    velocity: Tensor
    whole: Tensor
    together: Tensor
    floor: Tensor
    alone: Tensor
    left_out: Tensor
    own: Tensor
    dots: Tensor
    maps: Tensor


def effects(values: Values, again: Tensor, parts: Sequence[str], mask: Tensor | None = None) -> PartEffects:
    """The effects from velocities [B, C, H, W] by set; `again` is a second value of v(all).

    With a mask, the velocities are multiplied by it already (repainted.counted).
    """
    everything, nothing = frozenset(parts), frozenset()
    full, plain = values[everything], values[nothing]
    whole = full - plain
    alone = [values[frozenset({part})] - plain for part in parts]
    left_out = [full - values[everything - {part}] for part in parts]
    phi = [_shapley(values, part, parts) for part in parts]
    if not is_exact(parts):
        phi = [(one + other) / 2 for one, other in zip(alone, left_out, strict=True)]
    mean = mean_square(full.norm(dim=1), mask).sqrt()[:, None, None].clamp_min(torch.finfo(full.dtype).tiny)
    return PartEffects(
        length(full), length(whole), length(whole - sum(alone)), length(again - full),
        torch.stack([length(each) for each in alone]), torch.stack([length(each) for each in left_out]),
        torch.stack([length(each) for each in phi]),
        torch.stack([(each.double() * whole).flatten(1).sum(1) for each in phi]),
        torch.stack([each.norm(dim=1) / mean for each in phi]),
    )  # fmt: skip


def length(v: Tensor) -> Tensor:
    """The length of each picture's velocity [B, C, H, W] -> [B]."""
    return v.flatten(1).norm(dim=1)


def _shapley(values: Values, part: str, parts: Sequence[str]) -> Tensor:
    """phi of a part, if all sets are there; else of those that are, which is not used."""
    count, found = len(parts), torch.zeros((), dtype=torch.float64)
    for without in values:
        with_it = without | {part}
        if part not in without and with_it in values:
            weight = math.factorial(len(without)) * math.factorial(count - len(without) - 1) / math.factorial(count)
            found = found + weight * (values[with_it].double() - values[without].double())
    return found


@dataclass(frozen=True)
class Numbers:
    """Several moments and all pictures together: root mean squares relative to the velocity's, and shares of E.

    A moment counts as much as the LoRA changes in it. `shares` are None if it changes nothing.
    """

    whole: float
    together: float
    floor: float
    alone: Sequence[float]
    left_out: Sequence[float]
    own: Sequence[float]
    shares: Sequence[float] | None


def pooled(several: Sequence[PartEffects]) -> Numbers:
    def square(name: str) -> Tensor:
        return sum(getattr(each, name).double().square().sum(-1) for each in several)

    velocity, whole = square("velocity"), square("whole")
    if not float(velocity):  # nothing is repainted
        velocity = torch.ones_like(velocity)
    roots = {name: (square(name) / velocity).sqrt().tolist() for name in
             ("whole", "together", "floor", "alone", "left_out", "own")}  # fmt: skip
    dots = sum(each.dots.sum(-1) for each in several)
    return Numbers(**roots, shares=(dots / whole).tolist() if float(whole) else None)


def maps(several: Sequence[PartEffects]) -> Tensor:
    """[P, B, H, W]: the mean over moments."""
    return torch.stack([each.maps for each in several]).float().mean(0)
