"""One run on workers, for any node: fingerprints, embeddings, cells. Imports ComfyUI.

    with remote(workers, nodes, "Prompt Grid") as team:
        file = team.embedding(vec, txt)
        failures = team.run(cells, work, done)

A node brings `work`: the API workflow of each of its cells, made of what graph.cut left of the running workflow.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import folder_paths

from ..compat.memory import check_interrupted
from ..disk.temporary import temporary_folder
from ..encode.embeddings.stream_file import save
from ..notice import show
from ..quoting import shorten
from ..streams import TXT, VEC, Stream
from . import fingerprint, graph
from .choices import NAME, Workers
from .crew import Crew
from .driver import POLL, TRIES, Done, Failure, Loop, Seat, Work

log = logging.getLogger("flux_duet")

START = 900.0  # seconds to wait for the first worker: it may have to start ComfyUI and hash a model file
GRACE = 3.0  # seconds more for the others; those that are later join while cells are computed


class Team:
    """The workers of one run that may work for it. `told` is the node's name for messages."""

    def __init__(self, crew: Crew, nodes: Mapping[str, Mapping[str, Any]], extra: Mapping[str, bytes], told: str):
        self.crew, self.nodes, self.told = crew, nodes, told
        names = graph.texts(nodes)
        self.files = {name: crew.share(data) for name, data in {**fingerprint.input_files(names), **extra}.items()}
        self.embeddings: set[str] = set()
        self.seats: list[Seat] = []
        self.refused: list[str] = []
        self.home: dict[str, Any] = {}
        self.kinds: list[str] = []

    # ---- what travels

    def embedding(self, **streams: Stream) -> str:
        """Puts encoded prompts into Ray's object store; the name of the file that they become on a worker.

        Raises ValueError for streams that a file cannot hold.
        """
        path = temporary_folder() / f"flux_duet_{os.getpid()}.safetensors"
        save(path, {name: stream for name, stream in streams.items() if name in (VEC, TXT)})
        data = path.read_bytes()
        path.unlink()
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.safetensors"
        if f"input/{name}" not in self.files:
            self.files[f"input/{name}"] = self.crew.share(data)
            self.embeddings.add(f"input/{name}")
        return name

    def bring(self, prompt: Mapping[str, Any], *names: str) -> tuple[dict, dict]:
        """A cell's workflow on top of the nodes that all share, and the files that it needs."""
        own = {f"input/{name}" for name in names}
        shared = {name: data for name, data in self.files.items() if name in own or name not in self.embeddings}
        return {**self.nodes, **prompt}, shared

    # ---- who works

    def gather(self, kinds: Sequence[str], more_files: Sequence[str] = ()) -> None:
        """Asks every worker what it is, until one can work; others may join later. Raises ValueError if none can.

        `kinds` are the types of nodes that cells add, `more_files` the model files that they name.
        """
        names = [*graph.texts(self.nodes), *more_files]
        self.home = fingerprint.facts([*fingerprint.model_files(names)])
        self.kinds = [*{*graph.kinds(self.nodes), *kinds}]
        asked = {self.ask(number): Seat(number) for number in range(len(self.crew.handles))}
        faults, until = [], time.monotonic() + START
        while asked and time.monotonic() < until:
            check_interrupted()
            for future in self.crew.wait([*asked], POLL):
                seat = asked.pop(future)
                answer, fault, why = self.crew.result(future)
                if fault:
                    faults.append(f"worker {seat.number}: {why}")
                elif self.admit(seat, answer):
                    self.seats.append(seat)
                    until = min(until, time.monotonic() + GRACE)
            show(f"{len(self.seats)} of {len(self.crew.handles)} workers are ready; the others are starting")
        for future, seat in asked.items():
            seat.future = future
            self.seats.append(seat)
        if all(seat.future is not None for seat in self.seats):
            waited = f"None of the {len(self.crew.handles)} workers was ready after {START:.0f} s."
            raise ValueError(f"{self.told}: no worker can be used. {' '.join([*self.refused, *faults]) or waited}")

    def ask(self, number: int) -> Any:
        """A future of what a worker is."""
        return self.crew.describe(number, [*self.home["files"]], self.kinds)

    def admit(self, seat: Seat, answer: Mapping[str, Any]) -> bool:
        """Whether a worker that is such can work here; if not, the reason is kept for a message."""
        seat.name = f"{answer['host']}/{seat.number}"
        why = fingerprint.refusal(self.home, answer)
        if why:
            self.refused.append(f"{seat.name} cannot be used: {why}.")
            log.warning("%s: %s", self.told, self.refused[-1])
        return not why

    @property
    def notes(self) -> list[str]:
        """Messages for the user."""
        return [f"{self.told}: {why}" for why in dict.fromkeys(self.refused)]

    def run(self, cells: Sequence[int], work: Work, done: Done, head: Callable[[], str]) -> list[Failure]:
        """Computes cells; returns those that were given up. `head` is shown above the workers' progress."""

        def told(text: str) -> None:
            show(f"{head()}\n{text}")

        loop = Loop(self.crew, self.seats, work, done, self.ask, self.admit, check_interrupted, told)
        failures = loop.run(cells)
        for each in failures:
            log.warning("%s: cell %d was given up:\n%s", self.told, each.cell + 1, "\n".join(each.why))
        return failures


def given_up(failures: Sequence[Failure], told: str) -> str:
    """The message for cells that were given up; "" if there are none."""
    if not failures:
        return ""
    numbers = ", ".join(str(each.cell + 1) for each in failures[:10])
    return (
        f"{told}: {len(failures)} cells failed {TRIES} times on the workers (cell {numbers}). All other cells are "
        f"kept; the next run computes only the failed ones. Last error: {shorten(failures[-1].why[-1], 1500)}"
    )


@contextmanager
def remote(
    workers: Workers, nodes: Mapping[str, Mapping[str, Any]], told: str, extra: Mapping[str, bytes] | None = None
) -> Iterator[Team]:
    """A team on the workers' cluster, which is left at the end. `nodes` are those that all cells share."""
    owner = str(Path(folder_paths.get_user_directory()).resolve())
    show(f"{NAME}: connecting to {workers.address} ...")
    comfyui = str(Path(folder_paths.__file__).parent)  # base_path is another folder with --base-directory
    with Crew(workers, owner, comfyui) as crew:
        yield Team(crew, nodes, extra or {}, told)
