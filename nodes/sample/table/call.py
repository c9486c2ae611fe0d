"""A forward as the modulation sees it: what vec depends on, and vec itself at any time of the run. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...compat.flux_model import Flux
from ...compat.modulation import vec_of
from ..modulation import VecDeltas, added


class Key(NamedTuple):
    """What a row of the table depends on: the values of the timestep, and all else."""

    time: bytes
    prompt: Hashable


@dataclass(frozen=True)
class Call:
    """Arguments of a forward: x [B, C, h, w] gives dtype and device; timestep [B], y [B, 768] and guidance [B]."""

    flux: Flux
    x: Tensor
    timestep: Tensor
    y: Tensor | None
    guidance: Tensor | None
    deltas: VecDeltas | None = None  # what controls add to vec in some blocks

    def key(self) -> Key:
        """Reads from the device once."""
        others = () if self.deltas is None else self.deltas.vecs
        given = (self.timestep, self.y, self.guidance, *others)
        values = [each.flatten().to(self.timestep.device).float() for each in given if each is not None]
        numbers, end = torch.cat(values).cpu().numpy().tobytes(), values[0].nbytes
        kinds = tuple(None if each is None else (tuple(each.shape), each.dtype) for each in given)
        terms = None if self.deltas is None else self.deltas.terms
        return Key(numbers[:end], (numbers[end:], kinds, terms, self.x.dtype, self.x.device))

    def vecs(self, time: float) -> dict[int, Tensor]:
        """What each block is given at another time of the run, by the block's number; -1 for all others."""
        vec = vec_of(self.flux, self.x, torch.full_like(self.timestep, time), self.y, self.guidance)
        deltas = {} if self.deltas is None else self.deltas.deltas
        return {-1: vec, **{block: added(delta, vec) for block, delta in deltas.items()}}
