"""What a piece of work costs another process: memory at its peak beyond what it held before, reading, computing.

Resident memory counts the pages of mapped files too, though the system can take those back at any time: a model file
that is read by mapping counts once as the file, and once more as the weights copied out of it.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

INTERVAL = 0.01  # seconds between looks at the memory, where the system keeps no record of its peak


@dataclass
class Footprint:
    """Bytes, and seconds of all cores, filled in when the work is done; None where the system does not tell."""

    memory: int = 0
    cpu: float = 0
    read: int | None = None  # by read calls, from storage or the page cache; what is read by mapping is not in it
    fetched: int | None = None  # from storage


@contextmanager
def footprint(pid: int) -> Iterator[Footprint]:
    """Around the work that process `pid` does meanwhile."""
    process, cost = psutil.Process(pid), Footprint()
    before, computed = reads(process), cpu_seconds(process)
    with recorded_peak(pid) if forget_peak(pid) else sampled_peak(process) as beyond:
        yield cost
        cost.memory = beyond()
    cost.cpu = cpu_seconds(process) - computed
    if before:
        cost.read, cost.fetched = (now - then for now, then in zip(reads(process), before, strict=True))


def cpu_seconds(process: psutil.Process) -> float:
    """So far; what runs beside the process adds little to it, unlike to the time on the clock."""
    times = process.cpu_times()
    return times.user + times.system


def reads(process: psutil.Process) -> tuple[int, int] | None:
    """Bytes read by calls and bytes fetched from storage, so far. Linux tells them apart; nobody else does."""
    counters = process.io_counters() if hasattr(process, "io_counters") else None
    return (counters.read_chars, counters.read_bytes) if hasattr(counters, "read_chars") else None


def forget_peak(pid: int) -> bool:
    """Sets Linux's record of a process's peak back to what it holds now; False where that cannot be done."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return False
    return True


@contextmanager
def recorded_peak(pid: int) -> Iterator[Callable[[], int]]:
    """By the system's own record, which no short peak escapes; it has to be set back before."""

    def peak() -> int:
        return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])

    held = peak()
    yield lambda: peak() - held


@contextmanager
def sampled_peak(process: psutil.Process) -> Iterator[Callable[[], int]]:
    """By looking again and again, from a thread."""
    # Where a venv's python is a launcher, as on Windows, the work is done by its child.
    family = [process, *process.children(recursive=True)]
    done = threading.Event()
    seen: list[int] = [held := resident(family)]

    def watch() -> None:
        while not done.wait(INTERVAL):
            seen[0] = max(seen[0], resident(family))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: max(seen[0], resident(family)) - held
    finally:
        done.set()
        watcher.join()


def resident(family: list[psutil.Process]) -> int:
    return sum(process.memory_info().rss for process in family)
