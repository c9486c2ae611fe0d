"""Gives cells to workers until all are done: retries, lost workers, progress, interruption. Pure.

It knows workers only as a crew (crew.py, or a simulated one): `run`, `describe`, `progress` and `interrupt` return
futures, `wait` and `result` look at them. A worker has one cell at a time, so a worker that is lost costs one cell.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .choices import NAME

LOST, FAILED = "lost", "failed"  # what a call failed of: the worker is lost, or its work has failed
TRIES = 3  # of a cell, before it is given up
CALLS = 5  # of a lost worker, one after the other, before it is given up
POLL = 0.1  # seconds between looks for an interruption
TOLD = 1.0  # seconds between questions for the workers' steps, and between calls of a lost one
BACK = 600.0  # seconds to wait for a worker, when there is none left

Work = Callable[[int], tuple[dict, dict]]  # a cell's number -> (API workflow, files)
Done = Callable[[int, dict], None]  # a cell's number and the worker's result


@dataclass(frozen=True)
class Failure:
    """A cell that was given up, with the reason of each try."""

    cell: int
    why: Sequence[str]


@dataclass
class Seat:
    """A worker's place in the loop. `cell` is what it computes; None for one that is idle, or asked what it is."""

    number: int
    name: str = ""
    future: Any = None
    cell: int | None = None
    step: tuple[int, int] = (0, 0)
    asked: Any = None
    done: int = 0
    calls: int = 0  # in vain, one after the other


@dataclass
class Loop:
    """One run over `cells` by the workers `seats`, or by those that answer later: their `future` is of `ask`.

    `ask(number)` asks a worker what it is; `admit(seat, answer)` says whether it may work. `check()` raises if the user
    interrupts; `told(text)` shows the workers' progress.
    """

    crew: Any
    seats: list[Seat]
    work: Work
    done: Done
    ask: Callable[[int], Any]
    admit: Callable[[Seat, Any], bool] = lambda seat, answer: True
    check: Callable[[], None] = lambda: None
    told: Callable[[str], None] = lambda text: None
    tries: dict[int, list[str]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    waiting: deque = field(default_factory=deque)  # cells
    idle: deque = field(default_factory=deque)  # seats
    busy: dict[Any, Seat] = field(default_factory=dict)  # by future
    lost: list[tuple[float, Seat]] = field(default_factory=list)  # with the time of the next call

    def run(self, cells: Sequence[int]) -> list[Failure]:
        """Computes all cells; returns those that failed TRIES times. Raises ValueError if no worker is left."""
        self.waiting.extend(cells)
        self.idle.extend(seat for seat in self.seats if seat.future is None)
        self.busy.update((seat.future, seat) for seat in self.seats if seat.future is not None)
        left, asked, last = len(self.waiting), time.monotonic(), time.monotonic()
        try:
            while left:
                self.check()
                self._give()
                for future in self._ready():
                    last = time.monotonic()
                    left -= self._take(self.busy.pop(future))
                self._require_workers(last)
                if time.monotonic() - asked > TOLD:
                    asked = time.monotonic()
                    self._ask_steps()
                    self.told(self._progress())
        except BaseException:
            self._interrupt()
            raise
        return self.failures

    def _give(self) -> None:
        """Gives cells to idle workers, and calls lost ones whose time has come."""
        while self.waiting and self.idle:
            seat, cell = self.idle.popleft(), self.waiting.popleft()
            prompt, files = self.work(cell)
            seat.cell, seat.step = cell, (0, 0)
            seat.future = self.crew.run(seat.number, prompt, files)
            self.busy[seat.future] = seat
        while self.lost and self.lost[0][0] <= time.monotonic():
            _, seat = self.lost.pop(0)
            seat.future = self.ask(seat.number)
            self.busy[seat.future] = seat

    def _ready(self) -> list[Any]:
        if self.busy:
            return self.crew.wait([*self.busy], POLL)
        time.sleep(POLL)
        return []

    def _take(self, seat: Seat) -> int:
        """Reads the future of a worker, which is done; returns the number of cells that are done with."""
        result, fault, why = self.crew.result(seat.future)
        cell, seat.cell = seat.cell, None
        if fault == LOST:
            self._call_later(seat)
        elif cell is not None or self._admitted(seat, result, fault):
            self.idle.append(seat)
        if cell is None:
            return 0
        if not fault:
            seat.done, seat.calls = seat.done + 1, 0
            self.done(cell, {**result, "tries": 1 + len(self.tries.get(cell, ()))})
            return 1
        self.tries.setdefault(cell, []).append(f"{seat.name or seat.number}: {why}")
        if len(self.tries[cell]) < TRIES:
            self.waiting.appendleft(cell)
            return 0
        self.failures.append(Failure(cell, self.tries[cell]))
        return 1

    def _admitted(self, seat: Seat, result: Any, fault: str) -> bool:
        if fault:  # its ComfyUI did not start
            self._call_later(seat)
            return False
        return self.admit(seat, result)

    def _call_later(self, seat: Seat) -> None:
        """Ray starts a lost worker again, perhaps on another machine; it gets a cell when it has told what it is."""
        seat.asked, seat.calls = None, seat.calls + 1
        if seat.calls <= CALLS:
            self.lost.append((time.monotonic() + TOLD * (seat.calls - 1), seat))
            self.lost.sort(key=lambda each: each[0])

    def _require_workers(self, last: float) -> None:
        """Raises ValueError if there is no worker, nor hope for one. `last` is when one has answered."""
        if self.idle or any(seat.cell is not None for seat in self.busy.values()):
            return
        if not self.busy and not self.lost:
            if self.waiting:
                raise ValueError(f"{NAME}: all workers are lost. {self._why()}".strip())
        elif time.monotonic() - last > BACK:
            raise ValueError(f"{NAME}: no worker has answered for {BACK:.0f} s. {self._why()}".strip())

    def _ask_steps(self) -> None:
        """Reads the answers to the last question for the workers' steps, and asks again; that keeps idle ones alive."""
        for seat in [*self.busy.values(), *self.idle]:
            if seat.asked is not None and seat.asked in self.crew.wait([seat.asked], 0):
                answer, fault, _ = self.crew.result(seat.asked)
                seat.step, seat.asked = (0, 0) if fault else answer, None
            if seat.asked is None:
                seat.asked = self.crew.progress(seat.number)

    def _progress(self) -> str:
        lines = []
        for seat in sorted([*self.busy.values(), *self.idle], key=lambda seat: seat.number):
            if seat.cell is None:
                now = "idle" if seat in self.idle else "starting"
            else:
                now = f"cell {seat.cell + 1}" + (f", step {seat.step[0]} of {seat.step[1]}" if seat.step[1] else "")
            lines.append(f"{seat.name or f'worker {seat.number}'}: {now}; {seat.done} done")
        return "\n".join([*lines, *([f"{len(self.lost)} lost"] if self.lost else [])])

    def _why(self) -> str:
        last = [why[-1] for why in self.tries.values() if why]
        return f"Last error: {last[-1]}" if last else ""

    def _interrupt(self) -> None:
        """Stops what the workers compute, and waits a moment for it."""
        stopping = [self.crew.interrupt(seat.number) for seat in self.busy.values() if seat.cell is not None]
        until = time.monotonic() + 2
        while stopping and time.monotonic() < until:
            ready = self.crew.wait(stopping, max(0.0, until - time.monotonic()))
            stopping = [each for each in stopping if each not in ready]
