"""Figures of a fuzzing run: inputs, clean refusals, durations, faults."""

import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .. import ROOT

SECONDS, OTHERS_SECONDS = 1.0, 0.1  # the limits for an input, and for another route meanwhile
OURS = str(ROOT / "nodes")
LONGEST = 2000  # characters of a message


@dataclass
class Others:
    """How long other routes took: wall time, and time charged to the server (see the package)."""

    clock: list[float] = field(default_factory=list)
    charged: list[float] = field(default_factory=list)

    def note(self, clock: float, processor: float) -> None:
        self.clock.append(clock)
        self.charged.append(min(clock, processor))

    def __str__(self) -> str:
        if not self.clock:
            return "not asked"
        middle = sorted(self.clock)[len(self.clock) // 2]
        return (
            f"asked {len(self.clock):,} times, median {1000 * middle:.0f} ms, at most "
            f"{1000 * max(self.charged):.0f} ms of the server's ({1000 * max(self.clock):.0f} on the clock)"
        )


@dataclass
class Figures:
    tried: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: dict[str, tuple[float, float, str]] = field(default_factory=dict)  # by kind: charged, wall, input
    meanwhile: Others = field(default_factory=Others)
    quiet: Others = field(default_factory=Others)

    def took(self, kind: str, charged: float, clock: float, what: str) -> None:
        self.slowest[kind] = max(self.slowest.get(kind, (0.0, 0.0, "")), (charged, clock, what))

    def fault(self, what: str) -> None:
        self.faults.append(what[:400])

    def judge(self, kind: str, error: Exception, given: str, folder: Path | None = None) -> None:
        """Counts an error as refused, or as a fault unless it is a ValueError raised in nodes/ without a path."""
        self.refused[kind] += 1
        where = traceback.extract_tb(error.__traceback__)[-1]
        ours = where.filename.startswith(OURS) and (where.line or "").startswith("raise ")
        message = str(error)
        if not isinstance(error, ValueError) or not ours:
            self.fault(f"{kind}: {error!r:.150} by {where.filename}:{where.lineno} for {given:.100}")
        elif not message or len(message) > LONGEST or (folder and str(folder) in message):
            self.fault(f"{kind}: the message {message!r:.150} for {given:.100}")

    @property
    def late(self) -> list[str]:
        """Faults for inputs that took too long."""
        slow = [
            f"{kind} took {charged:.2f} s: {what}"
            for kind, (charged, _, what) in self.slowest.items()
            if charged > SECONDS and kind not in UNJUDGED
        ]
        most = max(self.meanwhile.charged, default=0)
        return slow + [f"another route took {1000 * most:.0f} ms"] * (most > OTHERS_SECONDS)

    @property
    def held(self) -> bool:
        return not self.late and not self.faults

    def lines(self) -> list[str]:
        """The figures as text."""
        kinds = [
            f"{kind}: {count:,} tried, {self.refused[kind]:,} refused" + self._slowest(kind)
            for kind, count in sorted(self.tried.items())
        ]
        return [
            *kinds,
            f"other routes, while ours were asked: {self.meanwhile}",
            f"other routes, while nothing was asked of us: {self.quiet}",
            f"{sum(self.tried.values()):,} inputs, {len(self.faults)} faults, {len(self.late)} too slow",
            *self.late,
            *self.faults[:20],
        ]

    def _slowest(self, kind: str) -> str:
        charged, clock, what = self.slowest.get(kind, (0.0, 0.0, ""))
        return f", at most {charged:.2f} s ({clock:.2f} on the clock: {what})"


UNJUDGED = ("workflows",)  # the first one loads models


class Timer:
    """Measures wall time, and processor time by `spent`, since its creation."""

    def __init__(self, spent=time.process_time):
        self._spent, self._start, self._before = spent, time.monotonic(), spent()

    def read(self) -> tuple[float, float]:
        """(processor seconds, wall seconds)"""
        return self._spent() - self._before, time.monotonic() - self._start
