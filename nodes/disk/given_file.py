"""Files that a user names, read as far as they may go. Pure."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))


def kind_of(mode: int) -> str | None:
    """What a path with this st_mode leads to, where that is no ordinary file; None where it is one."""
    if stat.S_ISREG(mode):
        return None
    return next((words for is_one, words in _KINDS if is_one(mode)), "a device")


def read_given(path: Path, most: int) -> bytes:
    """The bytes of an ordinary file. Raises ValueError, in words that go on after the file's name and "cannot be used:"
    for what cannot be read, is larger than `most` bytes, or is no file; opening a pipe would wait for ever.
    """
    try:
        if kind := kind_of(os.stat(path).st_mode):
            raise ValueError(f"it is {kind}, expected a file")
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror or type(error).__name__})") from error
    if len(data) > most:
        raise ValueError(f"it is larger than {most:,} bytes")
    return data


def is_inside(folder: Path, path: Path) -> bool:
    """Whether a path that a user has a say in is in the folder, all links followed; ComfyUI has this since 0.27.0."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except ValueError:  # a null character in it
        return False
