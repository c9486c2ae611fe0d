"""A reading as a file, so that the front end can look at other steps and blocks of it without a run. Pure torch.

All maps of a 20-step run are some 300 MB. They lie in a .safetensors of which a look reads the chosen steps alone, one
at a time. Only the first picture's are kept: it is the one that the panel of Show Heatmap shows.
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
from ...disk.bounded_folder import SUFFIX, is_file, kept, remove, sweep
from .reading import Choice, HeatReading, chosen, counts, maps, masses

MOST = 8  # files in the folder, as many as a probe keeps readings; the oldest goes first
PART = 4  # and together they take at most one part in so many of the disk that is free without them


class NoRoom(ValueError):
    """A reading that the disk does not take."""


def store(reading: HeatReading, folder: Path) -> str:
    """Writes a reading, once; its name there. Raises NoRoom where it would take too much of what is free, or cannot be
    written.
    """
    path = folder / f"{reading.name}{SUFFIX}"
    if is_file(path):
        with contextlib.suppress(OSError):  # a read-only disk: it is there all the same
            path.touch()
        return reading.name
    first = {"maps": reading.maps[:, :, :1].contiguous(), "groups": reading.groups[:, :, :1].contiguous()}
    if reading.repainted is not None:
        first["repainted"] = reading.repainted[:, :1].contiguous()
    told = {"measure": reading.measure, "words": reading.words, "sigmas": reading.sigmas, "numbers": reading.numbers,
            "double": reading.double, "size": reading.size, "heads": reading.heads}  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder, sum(each.numel() * each.element_size() for each in first.values()))
        write_whole(path, safetensors.torch.save(first, {key: json.dumps(value) for key, value in told.items()}))
    except OSError as error:
        raise NoRoom(
            f"Show Heatmap: this run's maps cannot be written into ComfyUI's temp folder ({error.strerror or error}). "
            "The outputs are whole, but the panel cannot show other steps and blocks. Free some disk, or make the "
            "folder writable."
        ) from error
    return reading.name


def free_disk(folder: Path) -> int:
    """Bytes."""
    return shutil.disk_usage(folder).free


def _make_room(folder: Path, size: int) -> None:
    """Removes the oldest files until there is room for one of `size` bytes."""
    sweep(folder)
    found = kept(folder, SUFFIX)
    taken = sum(each.size for each in found)
    room = (free_disk(folder) + taken) // PART
    if size > room:
        raise NoRoom(
            f"Show Heatmap: this run's maps take {size / 1e6:.0f} MB, and {room / 1e6:.0f} MB, a quarter of the free "
            "disk, are what they may take in ComfyUI's temp folder. The outputs are whole, but the panel cannot show "
            "other steps and blocks. Free some disk, watch fewer words, or every n-th step."
        )
    for count, each in enumerate(found):
        if each.used and taken + size <= room and len(found) - count < MOST:
            break
        if remove(each.path):
            taken -= each.size


@dataclass(frozen=True)
class Look:
    """What the chosen steps and blocks come to: `maps` [words, h, w], and the shares of `masses`.

    `counted` [h, w] are the places that count (reading.counts).
    """

    words: tuple[str, ...]
    maps: Tensor
    shares: dict[str, float]
    counted: Tensor | None = None


def look(path: Path, choice: Choice) -> Look:
    """Raises FileNotFoundError, and ValueError where nothing is chosen."""
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
    """The reading with its shares and without its maps."""
    told = {key: json.loads(value) for key, value in file.metadata().items()}
    words, groups = tuple(told["words"]), file.get_tensor("groups")
    nothing = torch.empty(*groups.shape[:3], len(words), 0)
    return HeatReading(told["measure"], words, nothing, groups, tuple(told["sigmas"]), tuple(told["numbers"]),
                   told["double"], tuple(told["size"]), heads=told["heads"],
                   repainted=file.get_tensor("repainted") if "repainted" in file.keys() else None)  # fmt: skip


def _steps(file, whole: HeatReading, indices: list[int]) -> Iterator[HeatReading]:
    """A reading of each of these steps alone."""
    kept = file.get_slice("maps")
    for index in indices:
        here = slice(index, index + 1)
        yield replace(whole, maps=kept[here], groups=whole.groups[here], sigmas=whole.sigmas[here],
                      numbers=whole.numbers[here], repainted=None)  # fmt: skip
