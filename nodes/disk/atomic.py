"""Atomic file writes: a file is written under a temporary name, then renamed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path

UNFINISHED = ".unfinished"


def write_whole(path: Path, data: bytes) -> None:
    """Writes `data` atomically: other processes see the old file or the new one, and a killed process leaves the old.

    Creates the folder. Raises OSError.
    """
    write_whole_by(path, lambda unfinished: unfinished.write_bytes(data))


def write_whole_by(path: Path, write: Callable[[Path], object]) -> None:
    """The same with what `write(path)` writes, for content that should not be in memory as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}{UNFINISHED}")
    try:
        write(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
