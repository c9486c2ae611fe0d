"""Atomic file writes: a file is written under a temporary name, then renamed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

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


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> None:
    """The same for a .safetensors, from the tensors' own memory: safetensors' `save` would copy them twice."""

    def write(unfinished: Path) -> None:
        unfinished.touch()
        mode = unfinished.stat().st_mode  # save_file lets nobody else read its files
        try:
            safetensors.torch.save_file(tensors, unfinished, dict(metadata))
        except SafetensorError as error:  # what the disk says, as text
            raise OSError(str(error)) from error
        unfinished.chmod(mode)

    write_whole_by(path, write)
