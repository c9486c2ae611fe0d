"""Stores a reading as a file, so that the front end can show other steps and blocks without a run. Pure torch.

The maps of a 20-step run take about 300 MB. They are stored as .safetensors, of which only the chosen steps are read,
one at a time. Only the first picture's maps are stored: the panel of Show Heatmap shows no other.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ...disk.atomic import write_whole
from ...disk.bounded_folder import SUFFIX, is_file, kept_files, remove, remove_abandoned
from .reading import Choice, HeatReading, chosen, counts, maps, masses

MOST = 8  # files in the folder, as many as a probe keeps readings; the oldest is removed first
PART = 4  # files take at most 1/PART of the disk space that is free without them


class NoRoom(ValueError):
    """A reading cannot be stored: too little disk space, or the folder is not writable."""


def store(reading: HeatReading, folder: Path) -> str:
    """Writes a reading to a file in `folder`, if not there already, and returns its name. Raises NoRoom."""
    path = folder / f"{reading.name}{SUFFIX}"
    if is_file(path):
        with contextlib.suppress(OSError):  # a read-only disk: the file can still be read
            path.touch()
        return reading.name
    first = {"maps": reading.maps[:, :, :1].contiguous(), "groups": reading.groups[:, :, :1].contiguous()}
    if reading.repainted is not None:
        first["repainted"] = reading.repainted[:, :1].contiguous()
    metadata = {"measure": reading.measure, "words": reading.words, "sigmas": reading.sigmas,
                "numbers": reading.numbers, "double": reading.double, "size": reading.size,
                "heads": reading.heads}  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder, sum(each.numel() * each.element_size() for each in first.values()))
        write_whole(path, safetensors.torch.save(first, {key: json.dumps(value) for key, value in metadata.items()}))
    except OSError as error:
        raise NoRoom(
            f"Show Heatmap: this run's maps cannot be written into ComfyUI's temp folder ({error.strerror or error}). "
            "The outputs are complete, but the panel cannot show other steps and blocks. Free disk space, or make "
            "the folder writable."
        ) from error
    return reading.name


def free_disk(folder: Path) -> int:
    """Free bytes on the folder's disk."""
    return shutil.disk_usage(folder).free


def _make_room(folder: Path, size: int) -> None:
    """Removes the oldest files until there is room for one of `size` bytes."""
    remove_abandoned(folder)
    found = kept_files(folder, SUFFIX)
    taken = sum(each.size for each in found)
    room = (free_disk(folder) + taken) // PART
    if size > room:
        raise NoRoom(
            f"Show Heatmap: this run's maps take {size / 1e6:.0f} MB in ComfyUI's temp folder, expected at most "
            f"{room / 1e6:.0f} MB, a quarter of the free disk space. The outputs are complete, but the panel cannot "
            "show other steps and blocks. Free disk space, record fewer words, or every n-th step."
        )
    for count, each in enumerate(found):
        if each.used and taken + size <= room and len(found) - count < MOST:
            break
        if remove(each.path):
            taken -= each.size


@dataclass(frozen=True)
class Look:
    """The means over the chosen steps and blocks: `maps` [words, h, w], and the shares of reading.masses.

    `counted` [h, w], bool, are the image tokens that count (reading.counts); None without a mask.
    """

    words: tuple[str, ...]
    maps: Tensor
    shares: dict[str, float]
    counted: Tensor | None = None


def look(path: Path, choice: Choice) -> Look:
    """Reads the chosen steps and blocks from a file. Raises FileNotFoundError, and ValueError if none is chosen."""
    with safetensors.safe_open(path, "pt") as file:
        whole = _head(file)
        steps, _ = chosen(whole, choice)
        found, shares = 0, dict.fromkeys(masses(whole, choice), 0.0)
        for step in _steps(file, whole, steps):
            found = found + maps(step, choice)[0] / len(steps)
            for name, share in masses(step, choice).items():
                shares[name] += share / len(steps)
        counted = counts(whole, choice)
    return Look(whole.words, found, shares, None if counted is None else counted[0])


def _head(file) -> HeatReading:
    """The reading without its maps."""
    metadata = {key: json.loads(value) for key, value in file.metadata().items()}
    words, groups = tuple(metadata["words"]), file.get_tensor("groups")
    nothing = torch.empty(*groups.shape[:3], len(words), 0)
    return HeatReading(metadata["measure"], words, nothing, groups, tuple(metadata["sigmas"]),
                       tuple(metadata["numbers"]), metadata["double"], tuple(metadata["size"]), heads=metadata["heads"],
                       repainted=file.get_tensor("repainted") if "repainted" in file.keys() else None)  # fmt: skip


def _steps(file, whole: HeatReading, indices: list[int]) -> Iterator[HeatReading]:
    """A reading of each of these steps, with that step alone."""
    kept = file.get_slice("maps")
    for index in indices:
        here = slice(index, index + 1)
        yield replace(whole, maps=kept[here], groups=whole.groups[here], sigmas=whole.sigmas[here],
                      numbers=whole.numbers[here], repainted=None)  # fmt: skip
