"""A reading as a file, so that the front end can look at other steps and blocks of it without a run. Pure torch.

All maps of a 20-step run are some 150 MB. They lie in a .safetensors of which a look reads the chosen steps alone, one
at a time. Only the first picture's are kept: it is the one that Show Heatmap draws.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ...encode.keep.atomic import sweep, write_whole
from .reading import Choice, Reading, chosen, maps, masses

MOST = 8  # files in the folder, as many as a probe keeps readings; the oldest goes first
SUFFIX = ".safetensors"


def store(reading: Reading, folder: Path) -> str:
    """Writes a reading, once; its name there."""
    path = folder / f"{reading.name}{SUFFIX}"
    if path.exists():
        path.touch()
        return reading.name
    first = {"maps": reading.maps[:, :, :1].contiguous(), "groups": reading.groups[:, :, :1].contiguous()}
    told = {"measure": reading.measure, "words": reading.words, "sigmas": reading.sigmas, "numbers": reading.numbers,
            "double": reading.double, "size": reading.size, "heads": reading.heads}  # fmt: skip
    write_whole(path, safetensors.torch.save(first, {key: json.dumps(value) for key, value in told.items()}))
    _make_room(folder)
    return reading.name


def _make_room(folder: Path) -> None:
    sweep(folder)
    with contextlib.suppress(OSError):  # another process may do the same
        for path in sorted(folder.glob(f"*{SUFFIX}"), key=lambda each: each.stat().st_mtime)[:-MOST]:
            path.unlink()


@dataclass(frozen=True)
class Look:
    """What the chosen steps and blocks come to: `maps` [words, h, w], and the shares of `masses`."""

    words: tuple[str, ...]
    maps: Tensor
    shares: dict[str, float]


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
    return Look(whole.words, found, shares)


def _head(file) -> Reading:
    """The reading with its shares and without its maps."""
    told = {key: json.loads(value) for key, value in file.metadata().items()}
    words, groups = tuple(told["words"]), file.get_tensor("groups")
    nothing = torch.empty(*groups.shape[:3], len(words), 0)
    return Reading(told["measure"], words, nothing, groups, tuple(told["sigmas"]), tuple(told["numbers"]),
                   told["double"], tuple(told["size"]), heads=told["heads"])  # fmt: skip


def _steps(file, whole: Reading, indices: list[int]) -> Iterator[Reading]:
    """A reading of each of these steps alone."""
    kept = file.get_slice("maps")
    for index in indices:
        here = slice(index, index + 1)
        yield replace(whole, maps=kept[here], groups=whole.groups[here], sigmas=whole.sigmas[here],
                      numbers=whole.numbers[here])  # fmt: skip
