"""Distances between the pictures of a sweep, and the step at which the picture is decided. Pure torch.

`way` is a picture's projection on the line from A's picture (0) to B's (1), <x - A, B - A> / |B - A|^2. A picture is
nearer to A's than to B's exactly if its `way` is below 1/2, because

    |x - A|^2 - |x - B|^2 = (2 way - 1) |B - A|^2.

So after the crossing of the two distance curves, a switch moves the picture by less than half of the distance to B's,
whatever it does off that line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..repainted import finished

ROUNDING = 1e-5  # relative to a picture's norm: smaller differences come from float32 and batch sizes


@dataclass(frozen=True)
class Distances:
    """For each picture, relative to the distance between pure A and pure B; all None if those two are equal."""

    to_a: list[float | None]
    to_b: list[float | None]
    way: list[float | None]


def distances(pictures: Tensor, mask: Tensor | None = None) -> Distances:
    """The distances of pictures [K, ...], from pure B (switched before the first step) to pure A (never switched).

    With a mask [1, C, h, w] of their latents, only the repainted part counts; all None if nothing is repainted.
    """
    # In float64, since the differences are small compared with the values, and are squared.
    flat = finished(pictures.detach().to("cpu", torch.float64), mask).flatten(1)
    b, a = flat[0], flat[-1]
    whole = (b - a).norm()
    if whole <= ROUNDING * b.norm():
        nothing: list[float | None] = [None] * len(flat)
        return Distances(nothing, nothing, nothing)
    return Distances(
        ((flat - a).norm(dim=1) / whole).tolist(),
        ((flat - b).norm(dim=1) / whole).tolist(),
        ((flat - a) @ (b - a) / whole**2).tolist(),
    )


def decided(switches: Sequence[int], way: Sequence[float | None]) -> float | None:
    """The step, as a fraction, from which on every switch moves the picture by less than half of the distance to B's.

    If `way` crosses 1/2 several times, this is the last crossing. `way` is interpolated linearly between switches.
    None if both prompts give the same picture.
    """
    if way[0] is None:
        return None
    last = max(index for index, each in enumerate(way) if each >= 0.5)  # pure B is one, pure A is none
    above, below = way[last], way[last + 1]
    share = (above - 0.5) / (above - below)
    return switches[last] + share * (switches[last + 1] - switches[last])


def between(values: Sequence[float], at: float) -> float:
    """Linear interpolation in a list at a fractional index."""
    low = min(int(at), len(values) - 2)
    return values[low] + (at - low) * (values[low + 1] - values[low])
