"""Whether any process opened or read a file, by Linux's inotify."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_ACCESS, _OPEN = 0x1, 0x20
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows (none for a watched file)


class Opens:
    """Watches a file from now on. Raises OSError without inotify (Windows, macOS)."""

    def __init__(self, path: str | Path):
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            self._fd = libc.inotify_init1(os.O_NONBLOCK)
            watched = libc.inotify_add_watch(self._fd, os.fsencode(os.path.realpath(path)), _ACCESS | _OPEN)
        except (AttributeError, TypeError) as error:
            raise OSError("inotify is Linux's") from error
        if watched < 0:
            raise OSError(ctypes.get_errno(), f"{path} cannot be watched")

    def __enter__(self) -> Opens:
        return self

    def __exit__(self, *_) -> None:
        os.close(self._fd)

    def seen(self) -> list[str]:
        """The events since the last call, "open" or "read"; repeated events are reported once."""
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return []
        return ["open" if mask & _OPEN else "read" for _, mask, _, _ in _EVENT.iter_unpack(data)]
