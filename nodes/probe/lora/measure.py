"""Measures what LoRA files change of a MODEL and CLIPs. Imports ComfyUI.

The norm of a change is exact. A weight's own norm is estimated from at most ROWS of its rows, spread evenly, because
reading all 12 billion weights of FLUX.1 takes a minute on a CPU; the standard error is given.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...compat.loras import plain_weight
from ...compat.memory import check_interrupted, free_memory
from ...compat.patches import load_device
from ...compat.previews import progress_bar
from ...compat.text_encoders import encoders_of, patcher_of
from ...encode.load.lazy_t5 import read as read_encoder
from ...lora.load import LoraFile, Patch, SortedLora, patches_of
from ...lora.parts import PARTS, place_of
from . import algebra
from .algebra import Change
from .factors import change_of
from .reading import Comparison, LoraReading, WeightChange

ROWS = 256  # of a weight, for its own norm
DENSE_COPIES = 5  # float32 copies of a weight while a dense change is computed


@dataclass
class _Weights:
    """The weights of a MODEL and its CLIPs by name, without patches; own norms are kept."""

    model: Any
    clips: Sequence[Any]
    norms: dict[str, tuple[float | None, float]] = field(default_factory=dict)  # (norm, its standard error)

    def __post_init__(self) -> None:
        self.patchers, self.shapes = {}, {}
        for patcher in (self.model, *map(patcher_of, self.clips)):
            for name, weight in patcher.model.state_dict().items():
                self.patchers[name], self.shapes[name] = patcher, tuple(weight.shape)

    def plain(self, name: str) -> Tensor:
        return plain_weight(self.patchers[name], name)

    def dense(self, name: str) -> Tensor:
        """In float32, on the device where its model computes."""
        weight, device = self.plain(name), load_device(self.patchers[name])
        if not weight.is_floating_point():
            raise ValueError(
                f"LoRA Anatomy: this LoRA's format cannot be measured on a weight stored as {weight.dtype} ({name}). "
                "Load the model from a .safetensors file in fp16, bf16 or fp8."
            )
        if device.type != "cpu":
            free_memory(DENSE_COPIES * 4 * weight.numel(), device)
        return weight.to(device=device, dtype=torch.float32)

    def norm(self, name: str) -> tuple[float | None, float]:
        if name not in self.norms:
            self.norms[name] = own_norm(self.plain(name))
        return self.norms[name]

    def held(self, depth) -> dict[str, int]:
        """How many matrices each part has: what a LoRA can change."""
        names = (name for name, patcher in self.patchers.items() if name.endswith(".weight"))
        matrices = (name for name in names if len(self.shapes[name]) == 2)
        counted = Counter(place_of(name, depth).part for name in matrices)
        return {part: counted[part] for part in PARTS}


def own_norm(weight: Tensor) -> tuple[float | None, float]:
    """(norm, its standard error), from ROWS evenly spaced rows; None for packed integers, whose values are unknown."""
    if not weight.is_floating_point():
        return None, 0.0
    rows = weight.reshape(weight.shape[0] if weight.ndim > 1 else 1, -1)
    count = rows.shape[0]
    if count > ROWS:
        chosen = torch.linspace(0, count - 1, ROWS, device=weight.device).round().long()
        # Bytes can be picked where float8 cannot.
        rows = rows.view(torch.uint8)[chosen].view(weight.dtype) if weight.itemsize == 1 else rows[chosen]
    squares = rows.float().square().sum(1)
    norm = float(squares.mean() * count) ** 0.5
    if count <= ROWS or not norm:
        return norm, 0.0
    return norm, float(squares.std() / ROWS**0.5 / squares.mean()) / 2 * norm


def measure(files: Sequence[LoraFile], model, clips: Sequence[Any]) -> tuple[list[LoraReading], Comparison | None]:
    """A reading for each file, and the comparison of two."""
    weights, loras = _Weights(model, clips), [patches_of(file, model, clips) for file in files]
    grouped = [_by_weight(lora) for lora in loras]
    names = list(dict.fromkeys(name for group in grouped for name in group))
    _read_encoders(clips, {weights.patchers[name] for name in names})
    found, inner = [[] for _ in loras], {}
    bar = progress_bar(max(len(names), 1))
    for number, name in enumerate(names, 1):
        check_interrupted()
        changes = [_change(group.get(name), name, weights) for group in grouped]
        for lora, change, into in zip(loras, changes, found, strict=True):
            if change is not None:
                into.append(_measured(lora, name, change, weights))
        if len(changes) == 2 and all(change is not None for change in changes):
            inner[name] = algebra.inner(changes[0], changes[1], weights.shapes[name])
        bar.update_absolute(number)
    readings = [_reading(lora, changes, weights) for lora, changes in zip(loras, found, strict=True)]
    return readings, _compared(readings[0], readings[1], inner) if len(readings) == 2 else None


def _read_encoders(clips: Sequence[Any], changed: Collection) -> None:
    """Load T5 reads its file when a weight is needed: here, if a LoRA changes one."""
    for clip in clips:
        if patcher_of(clip) in changed:
            for encoder in encoders_of(clip):
                read_encoder(encoder)


def _by_weight(lora: SortedLora) -> dict[str, list[Patch]]:
    found: dict[str, list[Patch]] = {}
    for patch in lora.patches:
        found.setdefault(patch.weight, []).append(patch)
    return found


def _change(patches: Sequence[Patch] | None, name: str, weights: _Weights) -> Change | None:
    if not patches:
        return None
    read: Callable[[], Tensor] = lambda: weights.dense(name)  # noqa: E731
    return change_of(patches, weights.shapes[name], read)


def _measured(lora: SortedLora, name: str, change: Change, weights: _Weights) -> WeightChange:
    shape = weights.shapes[name]
    norm = algebra.norm(change, shape)
    if not math.isfinite(norm):
        raise ValueError(
            f"LoRA Anatomy: {lora.file.name} contains infinite or invalid numbers, or numbers so large that {name} "
            "overflows in 32 bits. Pictures with this LoRA would be black. Download or train it again."
        )
    own, rank = weights.norm(name)[0], algebra.effective_rank(change)
    return WeightChange(name, place_of(name, lora.depth), norm, own, rank)


def _reading(lora: SortedLora, changes: Sequence[WeightChange], weights: _Weights) -> LoraReading:
    errors = [weights.norm(each.name)[1] for each in changes]
    whole = sum(each.own**2 for each in changes if each.own) ** 0.5
    # Of |W|, from errors of the squares that do not depend on each other.
    squares = sum((each.own * error) ** 2 for each, error in zip(changes, errors, strict=True) if each.own) ** 0.5
    return LoraReading(
        lora.file.name, changes, lora.depth, weights.held(lora.depth), len(lora.file.weights), lora.unused,
        squares / whole**2 if whole else 0.0,
    )  # fmt: skip


def _compared(one: LoraReading, other: LoraReading, inner: dict[str, float]) -> Comparison:
    places = {each.name: each.place.part for each in one.changes}
    cosines = {}
    for part in PARTS:
        norms = one.total(part).change * other.total(part).change
        if norms:
            cosines[part] = sum(value for name, value in inner.items() if places[name] == part) / norms
    norms = one.whole.change * other.whole.change
    return Comparison(one, other, cosines, sum(inner.values()) / norms if inner and norms else None)
