"""A folder of cached files with a size limit; the least recently used files are removed first. Pure.

A folder, link or pipe with such a name was not written by this pack. It counts towards the limit and is removed first.
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
_ABANDONED = 3600  # seconds after which an unfinished file counts as abandoned by its writer


@dataclass(frozen=True, order=True)
class KeptFile:
    """A file: time of last use in ns since 1970 (0 for a folder, link or pipe), size in bytes, path."""

    used: int
    size: int
    path: Path


def kept_files(folder: Path, suffix: str = SUFFIX) -> list[KeptFile]:
    """All files with this suffix, least recently used first.

    A time in the future (from a wrong clock) would keep a file forever; it is set to now, in the file system too.
    """
    found = (_at(path) for path in folder.glob(f"*{suffix}"))
    return sorted(each for each in found if each is not None)


def unfinished_bytes(folder: Path) -> int:
    """Total size of the files that are being written, or whose writer was killed less than an hour ago."""
    found = (_at(path) for path in folder.glob(f"*{UNFINISHED}"))
    return sum(each.size for each in found if each is not None)


def remove_abandoned(folder: Path) -> None:
    """Removes unfinished files of killed writers: those more than an hour old, or dated more than an hour ahead."""
    for path in folder.glob(f"*{UNFINISHED}"):
        with contextlib.suppress(OSError):  # another process may have removed it
            if abs(time.time() - os.lstat(path).st_mtime) > _ABANDONED:
                remove(path)


def empty(folder: Path) -> int:
    """Removes all kept and unfinished files; returns how many could not be removed."""
    found = [*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*{SUFFIX}.*{UNFINISHED}")]
    return sum(not remove(path) for path in found)


def make_room(folder: Path, most: int) -> None:
    """Removes the least recently used files until the folder takes at most `most` bytes."""
    remove_abandoned(folder)
    found = kept_files(folder)
    excess = sum(file.size for file in found) + unfinished_bytes(folder) - most
    for file in found:
        if file.used and excess <= 0:
            return
        if remove(file.path):
            excess -= file.size


def remove(path: Path) -> bool:
    """Removes a file, folder or link (not the link's target); returns whether that succeeded."""
    with contextlib.suppress(OSError):  # another process reads it (Windows), or the disk is read-only
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return True
    return False


def is_file(path: Path) -> bool:
    """Whether there is an ordinary file, not a link to one."""
    with contextlib.suppress(OSError):
        return stat.S_ISREG(os.lstat(path).st_mode)
    return False


def in_the_way(path: Path) -> bool:
    """Whether there is something other than an ordinary file: a folder, a link, or a pipe (opening it would block)."""
    return os.path.lexists(path) and not is_file(path)


def _at(path: Path) -> KeptFile | None:
    try:
        found, now = os.lstat(path), time.time_ns()
        if not stat.S_ISREG(found.st_mode):
            return KeptFile(0, _size(path) if stat.S_ISDIR(found.st_mode) else found.st_size, path)
        if found.st_mtime_ns <= now:
            return KeptFile(max(1, found.st_mtime_ns), found.st_size, path)
    except OSError:  # another process removed it
        return None
    try:
        os.utime(path)
        return KeptFile(now, found.st_size, path)
    except OSError:  # another user's file, whose time cannot be set: removed early
        return KeptFile(1, found.st_size, path)


def _size(folder: Path) -> int:
    """Total size of all files in a folder, in bytes."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total
