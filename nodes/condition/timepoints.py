"""Points of a run, in steps, percent of time or sigma, and what the moment is at a model's evaluation. Pure.

ComfyUI's percent is of time before the schedule's shift: 50 % of FLUX.1's run is at sigma 0.76, not at half of the
steps. So a point keeps the unit in which it was given, and only the run's own clock turns it into a sigma.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..quoting import shorten

STEP, PERCENT, SIGMA = "step", "percent", "sigma"
# A sigma counts as reached a little early: schedules are computed in float32, and round otherwise than a point does.
NEARLY = 1 + 1e-6


@dataclass(frozen=True)
class Point:
    """Where in a run: before step 8, at 40 % of time, at sigma 0.7."""

    value: float
    unit: str

    def __str__(self):
        """As `parse` reads it, with every digit."""
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
    """Whether all of a run comes after it."""
    return point.value >= 1 if point.unit == SIGMA else point.value == 0


def percent_at(sigma: float, sigma_at: Callable[[float], float]) -> float:
    """The percent of time (0 to 100) at which a run is at `sigma`: the inverse of a sampling's `percent_to_sigma`.

    ComfyUI has that direction alone, so this halves until floats have no more between them. Sigmas above those of any
    run are at 0, sigmas below at 100.
    """
    low, high = 0.0, 1.0
    if sigma >= float(sigma_at(low)):
        return 0.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if float(sigma_at(middle)) > sigma else (low, middle)
    return 100 * high


@dataclass(frozen=True)
class Clock:
    """How a run turns points into sigmas. Either part may be unknown before the run.

    `sigmas` are the run's noise levels, one more than its steps; `first` is the number of their first step, where two
    samplers share a run. `sigma_at` turns a share of time (0 to 1) into a sigma, as the model's sampling does it.
    """

    sigmas: Sequence[float] | None = None
    sigma_at: Callable[[float], float] | None = None
    first: int = 0

    def sigma(self, point: Point) -> float:
        """Raises ValueError where the point's unit needs what this clock does not know."""
        if point.unit == SIGMA:
            return point.value
        if point.unit == PERCENT:
            if point.value in (0.0, 100.0):  # known without any model: all of a run lies between them
                return math.inf if point.value == 0.0 else 0.0
            if self.sigma_at is None:
                raise ValueError(f"{point} of the run is a sigma only for a certain model: connect `model`.")
            return float(self.sigma_at(point.value / 100))
        if self.sigmas is None:
            raise ValueError(f"Step {point} is a sigma only in a certain schedule: connect `sigmas`.")
        index = int(point.value) - self.first
        if index < 0:
            return math.inf
        return float(self.sigmas[index]) if index < len(self.sigmas) else 0.0

    def acting(self, start: Point, *ends: Point) -> bool:
        """Whether some step of this run, whose sigmas are known, has reached `start` and none of `ends`.

        Raises ValueError as `sigma` does.
        """
        moments = [Moment(float(sigma), self) for sigma in self.sigmas[:-1]]
        return any(moment.reached(start) and not any(map(moment.reached, ends)) for moment in moments)


def step_at(sigmas: Sequence[float], sigma: float) -> int:
    """The index of the last of a schedule's noise levels that an evaluation at `sigma` has reached; 0 before all."""
    return max((index for index, level in enumerate(sigmas) if sigma <= float(level) * NEARLY), default=0)


@dataclass(frozen=True)
class Moment:
    """One evaluation of the model: its sigma, in a run with this clock."""

    sigma: float
    clock: Clock

    @property
    def is_first(self) -> bool:
        """Whether it is an evaluation at the level of noise that its run starts at; False where that is not known."""
        return self.clock.sigmas is not None and step_at(self.clock.sigmas, self.sigma) == 0

    def reached(self, point: Point) -> bool:
        """Whether the point is now or past. The end of the run never is: no evaluation comes after it."""
        limit = self.clock.sigma(point)
        return limit > 0.0 and self.sigma <= limit * NEARLY

    def progress(self, start: Point, end: Point) -> float:
        """How far into `start` to `end`, both of one unit: 0 before, 1 from `end` on; in steps, each counts alike."""
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
        """The step that this evaluation belongs to, with a solver's evaluations inside it."""
        return self.clock.first + step_at(self.clock.sigmas, self.sigma)


@dataclass(frozen=True)
class Range:
    """From one point up to another, which is no longer within."""

    start: Point = START
    end: Point = END

    def holds(self, moment: Moment) -> bool:
        return moment.reached(self.start) and not moment.reached(self.end)

    @classmethod
    def parse(cls, start: str, end: str) -> Range:
        """Raises ValueError for points that cannot be read, and for a range that holds at no moment of any run."""
        made = cls(Point.parse(start), Point.parse(end))
        if made._is_empty:
            raise ValueError(
                f"Got {made.start} to {made.end} for a part of the run, in which there is no moment: nothing would "
                "ever act. Expected an end that is later than the start; 0% to 100% is the whole run."
            )
        return made

    @property
    def _is_empty(self) -> bool:
        """Whether the end is known not to be later than the start; points of different units are not compared."""
        start, end = self.start, self.end
        if at_start(end) or start == END or (start.unit == SIGMA and start.value == 0):
            return True
        falls = start.unit == SIGMA
        return start.unit == end.unit and (end.value >= start.value if falls else end.value <= start.value)

    @property
    def is_all(self) -> bool:
        return self.start.value == 0 and self.start.unit != SIGMA and self.end == END


ALWAYS = Range()
