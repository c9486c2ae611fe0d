"""Files that are whole or not there: written under another name, then renamed."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path

UNFINISHED = ".unfinished"
_ABANDONED = 3600  # seconds after which an unfinished file has no writer any more


def write_whole(path: Path, data: bytes) -> None:
    """Other processes see the old file or the new one, and a kill at any moment leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}{UNFINISHED}")
    try:
        unfinished.write_bytes(data)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Takes away what killed writers left."""
    for path in folder.glob(f"*{UNFINISHED}"):
        with contextlib.suppress(OSError):  # another process may sweep too
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()
