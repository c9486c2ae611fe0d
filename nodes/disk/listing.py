"""The files of a folder and its subfolders, for a schema's choices: ComfyUI asks for a schema several times a prompt.

As ComfyUI's folder_paths does, a folder is walked again only if it or one of its subfolders has changed.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

SETTLED = 2 * 10**9  # nanoseconds: a folder that changed more recently may change again without a new time


@dataclass(frozen=True)
class _Listing:
    """`folders` are the times of the last change of all folders walked; None if they may not tell a further change."""

    names: tuple[str, ...]
    folders: dict[str, int] | None


_known: dict[tuple[str, str], _Listing] = {}


def files_in(folder: str, suffix: str) -> list[str]:
    """The sorted paths, with "/", of all files in `folder` with this suffix, relative to it; [] if it is not there."""
    key = folder, suffix
    known = _known.get(key)
    if known is None or not _is_current(known):
        known = _known[key] = _walked(folder, suffix)
    return list(known.names)


def _is_current(known: _Listing) -> bool:
    return known.folders is not None and all(_changed(path) == then for path, then in known.folders.items())


def _walked(folder: str, suffix: str) -> _Listing:
    names, folders, now = [], {folder: _changed(folder)}, time.time_ns()
    for parent, _, files in os.walk(folder):
        folders[parent] = _changed(parent)
        inside = os.path.relpath(parent, folder)
        names += [os.path.normpath(os.path.join(inside, name)).replace(os.sep, "/")
                  for name in files if os.path.normcase(name).endswith(suffix)]  # fmt: skip
    settled = all(then < now - SETTLED for then in folders.values())
    return _Listing(tuple(sorted(names)), folders if settled else None)


def _changed(folder: str) -> int:
    """The time of a folder's last change in nanoseconds; 0 for a missing one."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0
