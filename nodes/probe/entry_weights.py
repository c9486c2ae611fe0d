"""How ComfyUI mixes the entries of one prompt: where each acts, and with which weight. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..compat.sampling import areas_of
from ..keys import AREA, DEFAULT, MASK_STRENGTH, MODEL_CONDS, PLACE_MASK, SIGMA_END, SIGMA_START, STRENGTH, UUID
from .entries import Entry, Place

# The keys of an entry that set where it acts and its weight (comfy/samplers.py, get_area_and_mult).
PLACING = (SIGMA_START, SIGMA_END, AREA, STRENGTH, PLACE_MASK, MASK_STRENGTH)


def places(cond: Sequence[Entry], x: Tensor, timestep: Tensor) -> dict[Any, Place]:
    """The place of each entry of one prompt that is active at this timestep, by the entry's id.

    `x` [B, C, h, w] is the whole latent.
    """
    if len(cond) == 1 and AREA not in cond[0] and PLACE_MASK not in cond[0]:
        return {cond[0][UUID]: Place()}
    placed = _mixed(cond, x[:, :1], timestep)
    total = torch.full_like(x[:, 0], 1e-37)  # as ComfyUI counts it
    weights = {}
    for each in placed:
        weight = torch.zeros_like(total)
        _inside(weight, each.area)[...] = each.mult[:, 0]
        weights[each.uuid] = weight
        total += weight
    return {each.uuid: Place(_four(each.area), weights[each.uuid] / total) for each in placed}


def _mixed(cond: Sequence[Entry], x: Tensor, timestep: Tensor) -> list:
    """The area and weight of each entry, computed by ComfyUI; entries with `default` act where no other entry does."""
    bare = [{**{key: entry[key] for key in PLACING if key in entry}, MODEL_CONDS: {}, UUID: entry[UUID]}
            for entry in cond]  # fmt: skip
    plain = [each for each, entry in zip(bare, cond, strict=True) if DEFAULT not in entry]
    default = [each for each, entry in zip(bare, cond, strict=True) if DEFAULT in entry]
    return areas_of(plain, default, x, timestep)


def _inside(weight: Tensor, area: Sequence[int] | None) -> Tensor:
    if area is None:
        return weight
    height, width, top, left = area
    return weight[:, top : top + height, left : left + width]


def _four(area: Sequence[int] | None) -> tuple[int, int, int, int] | None:
    return None if area is None else (area[0], area[1], area[2], area[3])
