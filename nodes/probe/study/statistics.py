"""Mean, confidence interval and outliers over prompts. Pure.

Prompts are the independent samples: the seeds of a prompt are averaged first. Intervals are Student's t. An outlier is
a prompt whose modified z-score, 0.6745 (x - median) / MAD, is above 3.5 in size (Iglewicz and Hoaglin 1993).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy
from scipy.special import stdtrit

LEVEL, FAR, FEWEST = 0.95, 3.5, 5  # FEWEST prompts before one can be called an outlier


@dataclass(frozen=True)
class Summary:
    """Of one number over prompts; `interval` is None for one prompt. `outliers` are positions, farthest first."""

    count: int
    mean: float
    interval: tuple[float, float] | None
    median: float
    spread: float  # standard deviation, 0 for one prompt
    least: int
    most: int
    outliers: tuple[int, ...]


def summary(values: Sequence[float | None]) -> Summary | None:
    """Of values in the prompts' order, None where a prompt has none; None if all are None."""
    places = [place for place, value in enumerate(values) if value is not None]
    if not places:
        return None
    known = numpy.array([values[place] for place in places], dtype=float)
    count, mean = len(known), float(known.mean())
    spread = float(known.std(ddof=1)) if count > 1 else 0.0
    far = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * spread / math.sqrt(count) if count > 1 else 0.0
    interval = (mean - far, mean + far) if count > 1 else None
    outliers = tuple(places[each] for each in _outliers(known))
    return Summary(count, mean, interval, float(numpy.median(known)), spread, places[int(known.argmin())],
                   places[int(known.argmax())], outliers)  # fmt: skip


def _outliers(known: numpy.ndarray) -> list[int]:
    away = numpy.abs(known - numpy.median(known))
    typical = float(numpy.median(away))
    if len(known) < FEWEST or typical == 0:
        return []
    scores = 0.6745 * away / typical
    return [int(each) for each in numpy.argsort(-scores, kind="stable") if scores[each] > FAR]


def averaged(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The mean of each number over a prompt's seeds; None if any seed has none."""
    return {name: None if any(row[name] is None for row in rows) else sum(row[name] for row in rows) / len(rows)
            for name in rows[0]}  # fmt: skip
