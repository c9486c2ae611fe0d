"""The order of the files that a loader offers: those that fit first, by the names in their headers. Pure.

Only the names of a .safetensors file's tensors are read, and whether they fit is kept until the file changes. Other
formats, such as GGUF, keep their place among the files that do not fit; so do files whose turn does not come within
SECONDS, as in a folder of thousands on a slow disk: the next list has them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

Fits: TypeAlias = Callable[[frozenset[str]], bool]  # of the tensors' names

SECONDS = 2.0  # for headers that are not known yet, in one list
_MOST_BYTES = 4_000_000  # of a header; a text encoder's is some ten thousand
_known: dict[tuple[str, Fits], tuple[tuple[int, int], bool]] = {}  # -> the file's identity, whether it fits


def fitting_first(files: Sequence[str], path_of: Callable[[str], str | None], fits: Fits) -> list[str]:
    """`files` in their order, those that fit first."""
    until = time.monotonic() + SECONDS
    return sorted(files, key=lambda file: not _fits(path_of(file), fits, until))


def _fits(path: str | None, fits: Fits, until: float) -> bool:
    """False for a file that cannot be read, or not in time."""
    if path is None or not path.endswith((".safetensors", ".sft")):
        return False
    try:
        stat = os.stat(path)
        identity = stat.st_size, stat.st_mtime_ns
        if (known := _known.get((path, fits))) and known[0] == identity:
            return known[1]
        if time.monotonic() > until:
            return False
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
