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


def run_all(
    sections: Sequence[Section],
    kit: Any,
    budget: Budget,
    say: Callable[[str], None],
    after: Callable[[list[Outcome], list[Outcome]], None] = lambda done, to_come: None,
) -> list[Outcome]:
    """The outcome of every section, in their order. An interruption by the user ends the run, not the report.

    `after` gets the outcomes so far after each section, and those to come, as not run.
    """
    outcomes: list[Outcome] = []
    for number, section in enumerate(sections, 1):
        say(f"{section.title} ...")
        try:
            outcomes.append(run_one(section, kit, budget))
        except KeyboardInterrupt:
            return [*outcomes, *not_run(sections[number - 1 :], "interrupted")]
        found = outcomes[-1]
        say(f"  {found.status}, {found.seconds:.1f} s{f': {found.why}' if found.status == NOT_RUN else ''}")
        after(outcomes, not_run(sections[number:], "the check ended before it"))
    return outcomes


def not_run(sections: Sequence[Section], why: str) -> list[Outcome]:
    return [Outcome(each.name, each.title, NOT_RUN, why=why) for each in sections]


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
