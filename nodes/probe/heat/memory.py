"""Estimates the memory that a run's maps will take, before the run. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...condition.blocks import Depth

BYTES = 4  # of a value


@dataclass(frozen=True)
class Planned:
    """The size of a run's maps; `heads` is 1 if they are averaged."""

    words: int
    steps: int
    blocks: int
    heads: int
    pictures: int
    tokens: int

    @property
    def bytes(self) -> int:
        return self.words * self.steps * self.blocks * self.heads * self.pictures * self.tokens * BYTES


def planned(flux: Any, words: int, every: int, apart: bool, steps: int, shape: Sequence[int]) -> Planned:
    """The maps' size for a run of `steps` on a latent of `shape` (B, C, h, w); `flux` is ComfyUI's Flux module."""
    rows, columns = (math.ceil(side / flux.patch_size) for side in shape[-2:])
    blocks = Depth.of(flux).blocks
    heads = flux.params.num_heads if apart else 1
    return Planned(words, math.ceil(steps / every), blocks, heads, shape[0], rows * columns)


def check_room(plan: Planned, room: int, node: str = "Token Heatmap") -> None:
    """Raises ValueError, from `node`, if the maps would take more than `room` bytes."""
    if plan.bytes <= room:
        return
    heads = f" x {plan.heads} heads" if plan.heads > 1 else ""
    pictures = f" x {plan.pictures} pictures" if plan.pictures > 1 else ""
    average = ", switch `heads` to averaged" if plan.heads > 1 else ""
    raise ValueError(
        f"{node}: the maps of this run would take {plan.bytes / 1e9:.1f} GB ({plan.words} words x {plan.steps} "
        f"steps x {plan.blocks} blocks{heads} x {plan.tokens} tokens{pictures}), expected at most {room / 1e9:.1f} GB, "
        f"a quarter of the free memory. Name fewer words, record every n-th step only (`every`){average}, or make a "
        "smaller picture."
    )
