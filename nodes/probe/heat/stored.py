"""Stores a reading as a file, so that the front end can show other steps and blocks without a run. Pure torch.

The maps of a 20-step run take about 300 MB. They are stored as .safetensors, of which only the chosen steps are read,
one at a time. Only the first picture's maps are stored: the panel of Show Heatmap shows no other.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors import SafetensorError
from torch import Tensor

from ...disk.atomic import write_tensors
from ...disk.bounded_folder import SUFFIX, is_file, kept_files, remove, remove_abandoned
from .choices import OFF, SPREAD
from .reading import Choice, HeatReading, chosen, counts, kinds_of, maps, masses
from .spread.spreading import Likeness, refined

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
    if reading.likeness is not None:
        first["likeness"] = reading.likeness.values[:1].contiguous()
        first["likeness_sums"] = reading.likeness.sums[:1].contiguous()
    metadata = {"measure": reading.measure, "words": reading.words, "sigmas": reading.sigmas,
                "numbers": reading.numbers, "double": reading.double, "size": reading.size,
                "heads": reading.heads, "recorded": reading.recorded}  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder, sum(each.numel() * each.element_size() for each in first.values()))
        write_tensors(path, first, {key: json.dumps(value) for key, value in metadata.items()})
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
            "show other steps and blocks. Free disk space, or record fewer words or fewer steps."
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


def look(path: Path, choice: Choice, refine: str = OFF) -> Look:
    """Reads the chosen steps and blocks from a file, refined by SPREAD or not.

    Raises FileNotFoundError, and ValueError if no step is chosen, the file is damaged, or has no likeness to spread by.
    """
    if not is_file(path):
        raise FileNotFoundError(path)
    with _as_damaged(SafetensorError), safetensors.safe_open(path, "pt") as file:
        with _as_damaged(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            whole = _head(file)
        steps, _ = chosen(whole, choice)
        found: Any = 0
        shares = dict.fromkeys(masses(whole, choice), 0.0)
        for step in _steps(file, whole, steps):
            found = found + maps(step, choice)[0] / len(steps)
            for name, share in masses(step, choice).items():
                shares[name] += share / len(steps)
        counted = counts(whole, choice)
        if refine == SPREAD:
            found = refined(found[None], whole.likeness, counted)[0]
    return Look(whole.words, found, shares, None if counted is None else counted[0])


@contextlib.contextmanager
def _as_damaged(*kinds: type[Exception]) -> Iterator[None]:
    """Turns errors of these kinds, which a damaged file raises, into one message."""
    try:
        yield
    except kinds as error:
        raise ValueError(
            "Show Heatmap: the file with these maps is damaged. Run the workflow again; if nothing in it has changed, "
            "change a setting of Token Heatmap first."
        ) from error


def _head(file) -> HeatReading:
    """The reading without its maps. Raises what json and safetensors do, or TypeError, for a damaged file."""
    metadata = {key: json.loads(value) for key, value in file.metadata().items()}
    words, sigmas, numbers, size = (tuple(metadata[key]) for key in ("words", "sigmas", "numbers", "size"))
    groups, heads, double = file.get_tensor("groups"), metadata["heads"], metadata["double"]
    recorded = None if metadata.get("recorded") is None else tuple(metadata["recorded"])
    counted = (heads, double, *numbers, *size, *(recorded or ()))
    repainted = file.get_tensor("repainted") if "repainted" in file.keys() else None
    likeness = None
    if "likeness" in file.keys():  # a row at a time is read of it
        likeness = Likeness(file.get_slice("likeness"), file.get_tensor("likeness_sums"))
    if not (all(isinstance(each, str) for each in (metadata["measure"], *words))
            and all(isinstance(each, int | float) for each in sigmas)
            and all(type(each) is int and each >= 0 for each in counted)):  # fmt: skip
        raise TypeError("metadata of another kind")
    steps, tokens = len(numbers), math.prod(size)
    shape = [steps, groups.shape[1], 1, len(words), tokens]
    if not (heads and tokens and file.get_slice("maps").get_shape() == shape and len(sigmas) == steps
            and groups.shape == (*shape[:3], len(kinds_of(metadata["measure"], words))) and groups.shape[1] % heads == 0
            and max(recorded or (0,)) * heads < groups.shape[1]
            and (repainted is None or repainted.shape == (steps, 1, tokens))
            and (likeness is None or likeness.values.get_shape() == [1, tokens, tokens]
                 and likeness.sums.shape == (1, tokens))):  # fmt: skip
        raise TypeError("tensors of other shapes")
    nothing = torch.empty(*groups.shape[:3], len(words), 0)
    return HeatReading(metadata["measure"], words, nothing, groups, sigmas, numbers, double, size, heads=heads,
                       repainted=repainted, recorded=recorded, likeness=likeness)  # fmt: skip


def _steps(file, whole: HeatReading, indices: list[int]) -> Iterator[HeatReading]:
    """A reading of each of these steps, with that step alone."""
    kept = file.get_slice("maps")
    for index in indices:
        here = slice(index, index + 1)
        yield replace(whole, maps=kept[here], groups=whole.groups[here], sigmas=whole.sigmas[here],
                      numbers=whole.numbers[here], repainted=None, likeness=None)  # fmt: skip
