"""From pictures that switched from A to B at every step: how far each went, and when the picture was decided. Pure.

`way` is the place of a picture on the straight line from A's picture (0) to B's (1), as <x - A, B - A> / |B - A|^2. A
picture is nearer to A's than to B's exactly where its way is below a half, because

    |x - A|^2 - |x - B|^2 = (2 way - 1) |B - A|^2.

So the crossing of the two distance curves has a plain meaning, whatever the picture does off that line: from there on,
a switch moves it less than half of the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..repainted import finished

ROUNDING = 1e-5  # of a picture's length: what float32 makes of one picture in batches of other sizes


@dataclass(frozen=True)
class Distances:
    """Of each picture, in units of the distance between pure A and pure B; all None where those two are one."""

    to_a: list[float | None]
    to_b: list[float | None]
    way: list[float | None]


def distances(pictures: Tensor, mask: Tensor | None = None) -> Distances:
    """pictures [K, ...], from pure B (switched before the first step) to pure A (never switched).

    Under a mask [1, C, h, w] of their latents, of the repainted part alone; all None where that is nothing.
    """
    # In float64: the differences are small beside the numbers, and their squares smaller still.
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
    """The step, with its fraction, from which on every switch moves the picture less than half of the way to B's.

    It is the last crossing, should there be several: only then "from which on" is true. Between two switches that were
    run, `way` is taken as a straight line. None where both prompts give one picture.
    """
    if way[0] is None:
        return None
    last = max(index for index, each in enumerate(way) if each >= 0.5)  # pure B is one, pure A is none
    above, below = way[last], way[last + 1]
    share = (above - 0.5) / (above - below)
    return switches[last] + share * (switches[last + 1] - switches[last])


def between(values: Sequence[float], at: float) -> float:
    """A value between two of a list, at a place with a fraction."""
    low = min(int(at), len(values) - 2)
    return values[low] + (at - low) * (values[low + 1] - values[low])
