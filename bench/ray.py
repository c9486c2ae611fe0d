"""What do workers cost, and what do they bring? Prompt Grid on Ray, and a simulated cluster of 64 workers.

    python dev.py bench ray [--cells 12] [--steps 200] [--simulated 10000] [--only simulated|real]

Simulated: 64 workers whose cells sleep, as threads of four Ray actors, so the messages between driver and workers are
real. The times show what the driver costs. Real: the nano models on the CPU, cell by cell: here, on one worker, on two.
Each worker computes in one thread; with fewer free cores than workers the speed-up is that of the cores.
"""

import argparse
import importlib
import os
import time
from pathlib import Path

import psutil

from ..devtools import say
from ..devtools.demo import load
from ..devtools.server import Server
from ..nodes.cluster.driver import Loop, Seat
from .measure import machine, seconds, size, table

WORKERS, PROCESSES, NAP = 64, 4, 0.1  # of the simulated cluster; seconds of a cell
WORKFLOW = Path(__file__).parents[1] / "workflows" / "api" / "prompt_grid.json"
GRID = "6"  # Prompt Grid's node in it
STORE = 100 * 10**6  # bytes of Ray's object store


class Sleeper:
    """A worker whose cells take NAP seconds."""

    def run(self, prompt, files):
        time.sleep(NAP)
        return {"ui": prompt, "files": {}, "seconds": NAP, "host": "simulated"}

    def progress(self):
        return 1, 2


class SleepingCrew:
    """The interface of cluster.crew.Crew, with several workers in an actor."""

    def __init__(self, ray):
        self.ray = ray
        kind = ray.remote(Sleeper).options(max_concurrency=2 * WORKERS // PROCESSES, num_cpus=0)
        self.handles = [kind.remote() for _ in range(PROCESSES)]

    def run(self, number, prompt, files):
        return self.handles[number % PROCESSES].run.remote(prompt, files)

    def progress(self, number):
        return self.handles[number % PROCESSES].progress.remote()

    def wait(self, futures, timeout):
        return self.ray.wait(list(futures), num_returns=1, timeout=timeout)[0] if futures else []

    def result(self, future):
        return self.ray.get(future), "", ""


def simulated(cells: int) -> list[list[str]]:
    """A row for a tenth of the cells, and one for all."""
    ray = importlib.import_module("ray")
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=STORE, log_to_driver=False,
             _node_ip_address="127.0.0.1", _system_config={"worker_niceness": 0})  # fmt: skip
    try:
        crew = SleepingCrew(ray)
        prompt = load(WORKFLOW)
        own, rows = psutil.Process(), []
        Loop(crew, _seats(), lambda cell: (prompt, {}), lambda *_: None, crew.progress).run(range(2 * WORKERS))  # warm
        for count in (cells // 10, cells):
            before, cpu, started = own.memory_info().rss, time.process_time(), time.perf_counter()
            done: set[int] = set()
            loop = Loop(crew, _seats(), lambda cell: (prompt, {}), _noting(done), crew.progress)
            assert not loop.run(range(count)) and done == {*range(count)}
            wall, spent = time.perf_counter() - started, time.process_time() - cpu
            ideal = -(-count // WORKERS) * NAP
            grown = max(0, own.memory_info().rss - before)
            rows.append([f"{count:,}", seconds(ideal), seconds(wall), seconds(spent / count), size(grown)])
        return rows
    finally:
        ray.shutdown()


def _noting(done: set[int]):
    return lambda cell, result: done.add(cell)


def _seats() -> list[Seat]:
    return [Seat(number) for number in range(WORKERS)]


def real(cells: int, steps: int) -> list[list[str]]:
    """A row for the local grid, one for one worker, one for two."""
    rows, base = [], None
    with Server() as server:
        for workers in (0, 1, 2):
            each = _cell_time(server, cells, steps, workers)
            base = base or each
            name = "this ComfyUI" if not workers else f"{workers} worker{'s' * (workers > 1)}"
            work = f"{100 * (each * max(workers, 1) / base - 1):+.1f} %"
            rows.append([name, seconds(each), work, f"{base / each:.2f}"])
    return rows


def _cell_time(server: Server, cells: int, steps: int, workers: int) -> float:
    """Seconds from cell to cell, after the first of each worker, which loads the model."""
    prompt = load(WORKFLOW)
    lines = "\n".join(f"a circle {number}" for number in range(cells // 2))
    given = {"clip_prompts": lines, "t5_prompts": "a star\na heart", "seeds": 1, "steps": steps, "resume": False}
    prompt[GRID]["inputs"] |= given
    if workers:
        inputs = {"address": "local", "count": workers, "gpus": 0, "comfyui": "", "arguments": ""}
        prompt["9"] = {"class_type": "FluxDuetRay", "inputs": inputs}
        prompt[GRID]["inputs"]["workers"] = ["9", 0]
    seen: list[float] = []
    whole = steps if not workers else 0

    def note(kind: str, data: dict) -> None:
        if kind == "progress" and data.get("node") == GRID and (not whole or data["value"] == whole == data["max"]):
            seen.append(time.perf_counter())

    server.run(prompt, timeout=3600, on_event=note)
    skipped = max(workers, 1)
    return (seen[-1] - seen[skipped - 1]) / (len(seen) - skipped)


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py bench ray", description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--steps", type=int, default=200, help="of a cell; about 2 s with the nano model")
    parser.add_argument("--simulated", type=int, default=10_000, metavar="CELLS")
    parser.add_argument("--only", choices=["simulated", "real"])
    chosen = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as Ray sets it for a worker with one CPU
    if chosen.only != "real":
        say("  the simulated cluster ...")
        heads = ["cells", "64 sleepers", "took", "driver's CPU per cell", "driver's memory grew by"]
        print(f"\n{machine()}; {WORKERS} workers, cells of {NAP} s\n\n{table(heads, simulated(chosen.simulated))}\n")
    if chosen.only != "simulated":
        say("  the nano model ...")
        heads = ["", "from cell to cell", "work per cell against here", "speed-up"]
        rows = real(chosen.cells, chosen.steps)
        print(f"\n{machine()}; {chosen.cells} cells of {chosen.steps} steps\n\n{table(heads, rows)}\n")


if __name__ == "__main__":
    main()
