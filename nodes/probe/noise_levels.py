"""Levels of noise, as users write them, and a run's steps that are nearest to them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence


def levels(text: str, node: str) -> list[float]:
    """`0.9, 0.6` -> [0.9, 0.6]. Raises ValueError, from `node`, for anything but numbers from 0 to 1."""
    try:
        found = [float(each) for each in re.split(r"[,\s]+", text) if each]
    except ValueError:
        found = []
    if not found or not all(0 <= each <= 1 for each in found):
        raise ValueError(
            f"{node}: got {text!r} for the noise levels, expected numbers from 0 to 1, such as: 0.9, 0.6, 0.3."
        )
    return found


def nearest(sigmas: Sequence[float], at: Sequence[float]) -> set[int]:
    """The steps of a run with these sigmas (the last is its end) that are nearest to those in `at`."""
    steps = range(len(sigmas) - 1)
    return {min(steps, key=lambda step: abs(sigmas[step] - sigma)) for sigma in at}
