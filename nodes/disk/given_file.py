"""Reads files that a user names, up to a size limit. Pure."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))


def kind_of(mode: int) -> str | None:
    """In words, what a path with this st_mode is; None for an ordinary file."""
    if stat.S_ISREG(mode):
        return None
    return next((words for is_one, words in _KINDS if is_one(mode)), "a device")


def read_given(path: Path, most: int) -> bytes:
    """The bytes of an ordinary file (opening a pipe would block).

    Raises ValueError if it cannot be read, is no ordinary file, or is larger than `most` bytes. The message continues
    the sentence "<name> cannot be used: ...".
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
