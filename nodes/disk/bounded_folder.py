"""A folder of files that may go: which are there, which was not used for longest, and room for a new one. Pure.

What is not a file of its own (a folder, a link, a pipe under such a name) is nothing that was kept here. It is counted,
so that the limit holds, and goes first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from .atomic import UNFINISHED

SUFFIX = ".safetensors"
_ABANDONED = 3600  # seconds after which an unfinished file has no writer any more


@dataclass(frozen=True, order=True)
class Kept:
    """When it was last used, in ns since 1970; its bytes; where it is. 0 for what was not kept here."""

    used: int
    size: int
    path: Path


def kept(folder: Path, suffix: str = SUFFIX) -> list[Kept]:
    """Longest unused first.

    A time in the future, from a clock that was wrong, would outlive all that comes: it becomes now, in the file too.
    """
    found = (_at(path) for path in folder.glob(f"*{suffix}"))
    return sorted(each for each in found if each is not None)


def unfinished(folder: Path) -> int:
    """Bytes of files that are being written, or whose writer was killed less than an hour ago."""
    found = (_at(path) for path in folder.glob(f"*{UNFINISHED}"))
    return sum(each.size for each in found if each is not None)


def sweep(folder: Path) -> None:
    """Takes away what killed writers left; no writer takes an hour, nor has one begun in an hour's time."""
    for path in folder.glob(f"*{UNFINISHED}"):
        with contextlib.suppress(OSError):  # another process may sweep too
            if abs(time.time() - os.lstat(path).st_mtime) > _ABANDONED:
                remove(path)


def empty(folder: Path) -> int:
    """Takes away all that is kept, and what is being written too; how many things could not be."""
    found = [*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*{SUFFIX}.*{UNFINISHED}")]
    return sum(not remove(path) for path in found)


def make_room(folder: Path, most: int) -> None:
    """Takes away what was not used for longest, until the folder takes at most so many bytes."""
    sweep(folder)
    found = kept(folder)
    too_much = sum(each.size for each in found) + unfinished(folder) - most
    for each in found:
        if each.used and too_much <= 0:
            return
        if remove(each.path):
            too_much -= each.size


def remove(path: Path) -> bool:
    """Whether it is gone. A link goes, not what it leads to."""
    with contextlib.suppress(OSError):  # another process reads it (Windows), or the disk is read-only
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return True
    return False


def is_file(path: Path) -> bool:
    """Whether a file of its own is there."""
    with contextlib.suppress(OSError):
        return stat.S_ISREG(os.lstat(path).st_mode)
    return False


def in_the_way(path: Path) -> bool:
    """Whether something other than a file is there: a folder, a link, or a pipe, which would be waited for."""
    return os.path.lexists(path) and not is_file(path)


def _at(path: Path) -> Kept | None:
    try:
        found, now = os.lstat(path), time.time_ns()
        if not stat.S_ISREG(found.st_mode):
            return Kept(0, _size(path) if stat.S_ISDIR(found.st_mode) else found.st_size, path)
        if found.st_mtime_ns <= now:
            return Kept(max(1, found.st_mtime_ns), found.st_size, path)
    except OSError:  # another process made room
        return None
    try:
        os.utime(path)
        return Kept(now, found.st_size, path)
    except OSError:  # another user's: it would stay in the future
        return Kept(1, found.st_size, path)


def _size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total
