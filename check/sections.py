"""Runs the sections of a check one after the other, each by itself, within a time limit. Pure."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .report import DONE, FAILED, NOT_RUN, Outcome, Row


class NotRun(Exception):
    """Raised in a section that does not apply here; its text is the reason."""


@dataclass(frozen=True)
class Section:
    """A part of the check. `run` gets the kit and yields its rows; `expected` estimates its seconds."""

    name: str
    title: str
    run: Callable[[Any], Iterator[Row]]
    expected: Callable[[Any], float] = lambda kit: 0.0


@dataclass(frozen=True)
class Budget:
    """The time limit: seconds in total, from `started` on."""

    total: float
    started: float
    clock: Callable[[], float] = time.monotonic

    def left(self) -> float:
        return self.total - (self.clock() - self.started)


def run_all(sections: Sequence[Section], kit: Any, budget: Budget, say: Callable[[str], None]) -> list[Outcome]:
    """The outcome of every section, in their order. An interruption by the user ends the run, not the report."""
    outcomes: list[Outcome] = []
    for number, section in enumerate(sections):
        say(f"{section.title} ...")
        try:
            outcomes.append(run_one(section, kit, budget))
        except KeyboardInterrupt:
            left = sections[number:]
            return [*outcomes, *(Outcome(each.name, each.title, NOT_RUN, why="interrupted") for each in left)]
        found = outcomes[-1]
        say(f"  {found.status}, {found.seconds:.1f} s{f': {found.why}' if found.status == NOT_RUN else ''}")
    return outcomes


def run_one(section: Section, kit: Any, budget: Budget) -> Outcome:
    expected, left = section.expected(kit), budget.left()
    if left <= 0 or expected > left:
        needs = f"it would take about {expected:.0f} s and " if expected > 0 else ""
        why = f"{needs}{max(left, 0):.0f} s of {budget.total:.0f} are left; --minutes raises the limit"
        return Outcome(section.name, section.title, NOT_RUN, why=why)
    rows: list[Row] = []
    started, status, why = budget.clock(), DONE, ""
    try:
        rows.extend(section.run(kit))  # one by one, so the rows before a failure are kept
    except NotRun as reason:
        status, why = NOT_RUN, str(reason)
    except Exception:
        status, why = FAILED, traceback.format_exc()
    return Outcome(section.name, section.title, status, budget.clock() - started, rows, why)
