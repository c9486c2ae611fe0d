"""Samples the cells of a grid and caches their latents on disk, so that a grid can be resumed. Imports ComfyUI.

A cell's key is the digest of everything that its latent depends on. So an interrupted grid resumes where it stopped,
also after a restart, and a grid with one more prompt samples only that prompt's cells.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import folder_paths
import torch
from torch import Tensor

from ...compat.memory import check_interrupted, result_device
from ...condition.conditioning import join
from ...condition.hooks import MERGES
from ...disk.bounded_folder import kept_files, remove
from ...encode.embeddings.store import Settings, Store
from ...keys import SAMPLES
from ...notice import show
from ...sample.sampling import SamplingPlan, sample
from ..latent_mask import mask_of
from . import identity
from .variants import Variant

LIMIT_MB = 1024  # the latent of a 1024 x 1024 picture takes 1 MB
FORGOTTEN = 14 * 24 * 3600  # seconds without use after which a cell is removed


class Cells(Store):
    """The folder of cells. Removes the least recently used first, and each one after two weeks without use."""

    def settings(self) -> Settings:
        return Settings(limit_mb=LIMIT_MB)

    def forget(self) -> None:
        for each in kept_files(self.folder):
            if time.time() - each.used / 1e9 > FORGOTTEN:
                remove(each.path)


def cells() -> Cells:
    return Cells(Path(folder_paths.get_system_user_directory("flux_duet")) / "cells")


@dataclass(frozen=True)
class Drawn:
    """The latents [LoRAs, seeds, CLIP prompts, T5 prompts, C, H, W] of a grid; one of LoRAs in a grid without them.

    `found` is the number of cells that were cached, `kept` whether all new ones were written to the cache. `mask`
    [1, C, H, W] is the LATENT's noise_mask, None if it has none.
    """

    latents: Tensor
    found: int
    kept: bool
    mask: Tensor | None = None


def draw(
    variants: Sequence[Variant], guidance: float, latent: dict, plan: SamplingPlan, seeds: Sequence[int],
    keep: bool = True,
) -> Drawn:  # fmt: skip
    """Samples every CLIP prompt with every T5 prompt, every seed and every LoRA, each as MMDiT Sampler does.

    One LoRA's cells follow each other, so that ComfyUI patches the weights once for each LoRA.

    Raises ValueError for a LATENT with more than one picture.
    """
    if len(latent[SAMPLES]) != 1:
        raise ValueError(
            f"Prompt Grid: got a LATENT with {len(latent[SAMPLES])} pictures, expected one. `seeds` draws several of "
            "each cell."
        )
    shelf = cells()
    shelf.forget()
    places = [(each, seed, vec, txt) for each in variants for seed in seeds for vec in each.vecs for txt in each.txts]
    drawn, found, is_kept = [], 0, keep
    for number, (variant, seed, vec, txt) in enumerate(places, 1):
        check_interrupted()
        told = f", {variant.line.label}" if variant.line else ""
        show(f"cell {number} of {len(places)}{told}" + (f", {found} of them from before" if found else ""))
        its_plan = replace(plan, seed=seed)
        key = identity.of_cell(variant.digest if keep else None, vec, txt, guidance, latent, its_plan)
        cell, is_kept = shelf.get(key) if key else None, is_kept and bool(key)
        found += cell is not None
        if cell is None:
            cell = sample(variant.model, join(vec, txt, guidance, MERGES), None, latent, its_plan)[SAMPLES]
            if key:
                shelf.put(key, cell)
        drawn.append(cell.to(result_device()))
    grid = torch.cat(drawn)
    mask = mask_of(latent, grid[:1])
    design = len(variants), len(seeds), len(variants[0].vecs), len(variants[0].txts)
    return Drawn(grid.reshape(*design, *grid.shape[1:]), found, is_kept, mask)
