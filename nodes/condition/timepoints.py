"""Points of a run in steps, percent of time or sigma, and their order relative to an evaluation of the model. Pure.

ComfyUI's percent counts time before the schedule's shift: 50 % of a FLUX.1 run is at sigma 0.76, not at half of the
steps. So a point keeps the unit in which it was given, and the run's Clock converts it to a sigma.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..quoting import shorten

STEP, PERCENT, SIGMA = "step", "percent", "sigma"
# Tolerance: a sigma counts as reached slightly early, because schedules are rounded to float32 and points are not.
NEARLY = 1 + 1e-6


@dataclass(frozen=True)
class Point:
    """A point of a run: the start of step 8, 40 % of time (0 to 100), or sigma 0.7."""

    value: float
    unit: str

    def __str__(self):
        """The text that `parse` reads, with all digits."""
        number = f"{Decimal(repr(float(self.value))).normalize():f}"
        return {SIGMA: f"s{number}", PERCENT: f"{number}%", STEP: number}[self.unit]

    @classmethod
    def parse(cls, text: str) -> Point:
        """`8` is a step, `40%` or `40 %` a percent of time, `s0.7` a sigma. Raises ValueError for anything else."""
        found = re.fullmatch(r"\s*(s?)([0-9]+(?:\.[0-9]+)?)\s*(?:(%)\s*)?", text)
        text = shorten(text, 40)
        if not found or (found[1] and found[3]):
            raise ValueError(
                f"Got {text!r} for a time, expected a step (8), a percent of time (40%) or a sigma (s0.7)."
            )
        value, unit = float(found[2]), SIGMA if found[1] else PERCENT if found[3] else STEP
        if unit == PERCENT and value > 100:
            raise ValueError(f"Got {text!r} for a time, expected at most 100%.")
        if unit == SIGMA and not math.isfinite(value):
            raise ValueError(f"Got {text!r} for a time, expected a sigma of at most a few hundred (s0.7).")
        if unit == STEP and not value.is_integer():
            raise ValueError(f"Got {text!r} for a time, expected a whole step, or a percent (40%), or a sigma (s0.7).")
        return cls(value, unit)


START, END = Point(0.0, PERCENT), Point(100.0, PERCENT)


def at_start(point: Point) -> bool:
    """Whether the point is at or before the start of any run."""
    return point.value >= 1 if point.unit == SIGMA else point.value == 0


def percent_at(sigma: float, sigma_at: Callable[[float], float]) -> float:
    """The percent of time (0 to 100) at which a run is at `sigma`: the inverse of `percent_to_sigma`.

    ComfyUI has no inverse, so this bisects to float precision. Sigmas above the range give 0, below it 100.
    """
    low, high = 0.0, 1.0
    if sigma >= float(sigma_at(low)):
        return 0.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if float(sigma_at(middle)) > sigma else (low, middle)
    return 100 * high


@dataclass(frozen=True)
class Clock:
    """Converts points to sigmas for one run. Before the run `sigmas` and `sigma_at` may be None (unknown).

    `sigmas` [steps + 1] are the run's noise levels, `first` the number of its first step if a sampler continues another
    one's run. `sigma_at` converts a share of time (0 to 1) to a sigma: the model_sampling's `percent_to_sigma`.
    """

    sigmas: Sequence[float] | None = None
    sigma_at: Callable[[float], float] | None = None
    first: int = 0

    def sigma(self, point: Point) -> float:
        """The point's sigma: infinity before the run, 0 after it. Raises ValueError if the clock lacks the data."""
        if point.unit == SIGMA:
            return point.value
        if point.unit == PERCENT:
            if point.value in (0.0, 100.0):  # known without a model: the start and the end of any run
                return math.inf if point.value == 0.0 else 0.0
            if self.sigma_at is None:
                raise ValueError(f"The sigma at {point} of the run depends on the model: connect `model`.")
            return float(self.sigma_at(point.value / 100))
        if self.sigmas is None:
            raise ValueError(f"The sigma at step {point} depends on the schedule: connect `sigmas`.")
        index = int(point.value) - self.first
        if index < 0:
            return math.inf
        return float(self.sigmas[index]) if index < len(self.sigmas) else 0.0

    def acting(self, start: Point, *ends: Point) -> bool:
        """Whether there is a step at which `start` is reached and none of `ends` is. Needs `sigmas`.

        Raises ValueError as `sigma` does.
        """
        moments = [Moment(float(sigma), self) for sigma in self.sigmas[:-1]]
        return any(moment.reached(start) and not any(map(moment.reached, ends)) for moment in moments)


def step_at(sigmas: Sequence[float], sigma: float) -> int:
    """The index of the last noise level that is reached at `sigma`; 0 if none is."""
    return max((index for index, level in enumerate(sigmas) if sigma <= float(level) * NEARLY), default=0)


@dataclass(frozen=True)
class Moment:
    """One evaluation of the model: its sigma, and the run's clock."""

    sigma: float
    clock: Clock

    @property
    def is_first(self) -> bool:
        """Whether this evaluation is at the run's first noise level; False if the run's sigmas are unknown."""
        return self.clock.sigmas is not None and step_at(self.clock.sigmas, self.sigma) == 0

    def reached(self, point: Point) -> bool:
        """Whether the point is now or past. The end of the run is never reached: no evaluation is after it."""
        limit = self.clock.sigma(point)
        return limit > 0.0 and self.sigma <= limit * NEARLY

    def progress(self, start: Point, end: Point) -> float:
        """How much of the range from `start` to `end` is over: 0 before it, 1 from `end` on.

        Both points have the same unit. In steps it is linear in steps, else in sigma.
        """
        if self.reached(end):
            return 1.0
        if not self.reached(start):
            return 0.0
        if start.unit == STEP:
            now = self._step()
            return (now - start.value + 1) / (end.value - start.value + 1)
        first, last = self.clock.sigma(start), self.clock.sigma(end)
        first = min(first, 1.0)
        return 0.0 if first == last else min(1.0, max(0.0, (first - self.sigma) / (first - last)))

    def _step(self) -> int:
        """The number of the step, also for a solver's intermediate evaluations."""
        return self.clock.first + step_at(self.clock.sigmas, self.sigma)


@dataclass(frozen=True)
class Range:
    """A part of a run: from `start`, inclusive, to `end`, exclusive."""

    start: Point = START
    end: Point = END

    def holds(self, moment: Moment) -> bool:
        return moment.reached(self.start) and not moment.reached(self.end)

    @classmethod
    def parse(cls, start: str, end: str) -> Range:
        """Raises ValueError for points that cannot be parsed, and for a range that is empty in every run."""
        made = cls(Point.parse(start), Point.parse(end))
        if made._is_empty:
            raise ValueError(
                f"Got {made.start} to {made.end} for a part of the run, which is empty. Expected an end later than "
                "the start; 0% to 100% is the whole run."
            )
        return made

    @property
    def _is_empty(self) -> bool:
        """Whether the end is not later than the start; False if it is unknown, as for points of different units."""
        start, end = self.start, self.end
        if at_start(end) or start == END or (start.unit == SIGMA and start.value == 0):
            return True
        falls = start.unit == SIGMA
        return start.unit == end.unit and (end.value >= start.value if falls else end.value <= start.value)

    @property
    def is_all(self) -> bool:
        return self.start.value == 0 and self.start.unit != SIGMA and self.end == END


ALWAYS = Range()
