"""Measures the cost of some work in another process: the increase of its peak memory, bytes read, CPU time.

Resident memory includes the pages of mapped files, though the system can reclaim those at any time: a model file that
is read by mapping counts twice, as the file and as the weights copied out of it.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

INTERVAL = 0.01  # seconds between samples of the memory, where the system does not record the peak


@dataclass
class Footprint:
    """Bytes, and CPU seconds of all cores, set when the work is done; None if the system does not report them."""

    memory: int = 0
    cpu: float = 0
    read: int | None = None  # by read calls, from storage or the page cache, without mapped files
    fetched: int | None = None  # from storage


@contextmanager
def footprint(pid: int) -> Iterator[Footprint]:
    """A context in which the work of process `pid` is measured."""
    process, cost = psutil.Process(pid), Footprint()
    before, computed = reads(process), cpu_seconds(process)
    with recorded_peak(pid) if forget_peak(pid) else sampled_peak(process) as beyond:
        yield cost
        cost.memory = beyond()
    cost.cpu = cpu_seconds(process) - computed
    if before:
        cost.read, cost.fetched = (now - then for now, then in zip(reads(process), before, strict=True))


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time so far; other processes affect it little, unlike wall-clock time."""
    times = process.cpu_times()
    return times.user + times.system


def reads(process: psutil.Process) -> tuple[int, int] | None:
    """(bytes read by calls, bytes read from storage) so far; None except on Linux."""
    counters = process.io_counters() if hasattr(process, "io_counters") else None
    return (counters.read_chars, counters.read_bytes) if hasattr(counters, "read_chars") else None


def forget_peak(pid: int) -> bool:
    """Resets Linux's record of a process's peak memory to the current value; False if not possible."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return False
    return True


@contextmanager
def recorded_peak(pid: int) -> Iterator[Callable[[], int]]:
    """The increase of the peak by the system's record, which includes short peaks; reset it first."""

    def peak() -> int:
        return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])

    held = peak()
    yield lambda: peak() - held


@contextmanager
def sampled_peak(process: psutil.Process) -> Iterator[Callable[[], int]]:
    """The increase of the peak, sampled from a thread."""
    # If a venv's python is a launcher, as on Windows, its child process does the work.
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
