"""Estimates the memory that a run's maps will take, before the run. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...condition.blocks import Depth

BYTES = 4  # of a value
LIKENESS_BYTES = 6  # of two places' likeness: single precision while it is summed, then half


@dataclass(frozen=True)
class Planned:
    """The size of a run's maps; `heads` is 1 if they are averaged, `likeness` whether that of all places is kept."""

    words: int
    steps: int
    blocks: int
    heads: int
    pictures: int
    tokens: int
    likeness: bool = False

    @property
    def bytes(self) -> int:
        maps = self.words * self.steps * self.blocks * self.heads * self.pictures * self.tokens * BYTES
        return maps + self.likeness * self.pictures * self.tokens**2 * LIKENESS_BYTES

    def of_the_whole(self, steps: int) -> Planned:
        """For a measure of the whole model at `steps` steps, without blocks and heads."""
        return replace(self, steps=steps, blocks=1, heads=1)


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
    alike = f", and the similarity of {plan.tokens} tokens" if plan.likeness else ""
    average += ", switch `record similarity` off" if plan.likeness else ""
    raise ValueError(
        f"{node}: the maps of this run would take {plan.bytes / 1e9:.1f} GB ({plan.words} words x {plan.steps} "
        f"steps x {plan.blocks} blocks{heads} x {plan.tokens} tokens{pictures}{alike}), expected at most "
        f"{room / 1e9:.1f} GB, a quarter of the free memory. Name fewer words, record fewer steps "
        f"(`record every n steps`){average}, or make a smaller picture."
    )
