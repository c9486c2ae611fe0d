"""The order of the files that a loader offers: those that fit first, by the names in their headers. Pure.

Only the names of a .safetensors file's tensors are read, and whether they fit is kept until the file changes. Other
formats, such as GGUF, keep their place among the files that do not fit; so do files whose turn does not come within
SECONDS, as in a folder of thousands on a slow disk: a later list has them. All lists that are made shortly after each
other, as at ComfyUI's start, share these seconds.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

Fits: TypeAlias = Callable[[frozenset[str]], bool]  # of the tensors' names

SECONDS = 2.0  # for headers that are not known yet
REST = 5.0  # seconds without reading a header, after which there are SECONDS again
_MOST_BYTES = 4_000_000  # of a header; a text encoder's is some ten thousand
_known: dict[tuple[str, Fits], tuple[tuple[int, int], bool]] = {}  # -> the file's identity, whether it fits


class _Time:
    """What was spent of SECONDS."""

    def __init__(self):
        self.spent, self.last = 0.0, -REST

    def is_left(self) -> bool:
        if time.monotonic() - self.last > REST:
            self.spent = 0.0
        return self.spent < SECONDS

    @contextmanager
    def spending(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.last = time.monotonic()
            self.spent += self.last - start


_time = _Time()


def fitting_first(files: Sequence[str], path_of: Callable[[str], str | None], fits: Fits) -> list[str]:
    """`files` in their order, those that fit first."""
    return sorted(files, key=lambda file: not _fits(path_of(file), fits))


def _fits(path: str | None, fits: Fits) -> bool:
    """False for a file that cannot be read, or not in time."""
    if path is None or not path.endswith((".safetensors", ".sft")):
        return False
    try:
        stat = os.stat(path)
        identity = stat.st_size, stat.st_mtime_ns
        if (known := _known.get((path, fits))) and known[0] == identity:
            return known[1]
        if not _time.is_left():
            return False
        with _time.spending():
            found = fits(_names(path))
    except (OSError, ValueError, RecursionError):
        return False
    _known[path, fits] = identity, found
    return found


def _names(path: str) -> frozenset[str]:
    if not os.path.isfile(path):  # a pipe would block
        return frozenset()
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size)) if size <= _MOST_BYTES else None
    return frozenset(header) if isinstance(header, dict) else frozenset()
