"""Samples the cells of a grid and caches their latents on disk, so that a grid can be resumed. Imports ComfyUI.

A cell's key is the digest of everything that its latent depends on. So an interrupted grid resumes where it stopped,
also after a restart, and a grid with one more prompt samples only that prompt's cells. A cell that a worker on another
kind of machine made has a key of its own: it resumes a grid on workers, on any cluster, and is never taken for this
machine's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import folder_paths
import torch
from torch import Tensor

from ...compat.memory import check_interrupted, result_device
from ...condition.conditioning import join
from ...condition.hooks import MERGES
from ...disk.bounded_folder import kept_files, remove
from ...disk.fingerprints import digest
from ...encode.embeddings.store import Settings, Store
from ...keys import SAMPLES
from ...notice import show
from ...sample.sampling import SamplingPlan, sample
from ...streams import ClipVec, T5Text
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

    def get_facts(self, key: str) -> dict[str, Any] | None:
        """Facts that were kept beside a tensor; None if there are none."""
        found = self.get(digest(["facts", key]))
        return None if found is None else json.loads(bytes(found.tolist()))

    def put_facts(self, key: str, facts: Mapping[str, Any]) -> None:
        self.put(digest(["facts", key]), torch.tensor(list(json.dumps(facts).encode()), dtype=torch.uint8))


def cells() -> Cells:
    return Cells(Path(folder_paths.get_system_user_directory("flux_duet")) / "cells")


@dataclass(frozen=True)
class Place:
    """A cell's LoRA, seed and prompts, and its key; None if it is unknown what its latent depends on."""

    variant: Variant
    seed: int
    vec: ClipVec
    txt: T5Text
    key: str | None

    @property
    def worker_key(self) -> str | None:
        """Its key when a worker of another kind of machine made it."""
        return self.key and digest(["workers", self.key])


@dataclass(frozen=True)
class Drawn:
    """The latents [LoRAs, seeds, CLIP prompts, T5 prompts, C, H, W] of a grid; one of LoRAs in a grid without them.

    `found` is the number of cells that were cached, `kept` whether all new ones were written to the cache. `mask`
    [1, C, H, W] is the LATENT's noise_mask, None if it has none. `made` are the facts of each cell that a worker made
    (host, device, seconds, tries), None for other cells. `notes` are messages about the workers.
    """

    latents: Tensor
    found: int
    kept: bool
    mask: Tensor | None = None
    made: Sequence[Mapping[str, Any] | None] = ()
    notes: Sequence[str] = ()


@dataclass
class Drawing:
    """The cells of a grid while they are drawn: `latents` by number, with the facts of those of workers."""

    places: Sequence[Place]
    shelf: Cells
    latents: dict[int, Tensor] = field(default_factory=dict)
    made: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    found: int = 0

    def look_up(self, of_workers: bool) -> None:
        """Takes the cached cells, those of workers too if `of_workers`."""
        for number, place in enumerate(self.places):
            keys = [place.key, place.worker_key] if of_workers else [place.key]
            for key in filter(None, keys):
                if (cell := self.shelf.get(key)) is not None:
                    self.latents[number] = cell.to(result_device())
                    self.made |= {number: facts} if of_workers and (facts := self.shelf.get_facts(key)) else {}
                    break
        self.found = len(self.latents)

    @property
    def missing(self) -> list[int]:
        return [number for number in range(len(self.places)) if number not in self.latents]

    def add(self, number: int, cell: Tensor, key: str | None) -> None:
        if key:
            self.shelf.put(key, cell)
        self.latents[number] = cell.to(result_device())

    def add_made(self, number: int, cell: Tensor, facts: Mapping[str, Any], same_machine: bool) -> None:
        """Adds a worker's cell; `same_machine` if this machine would make the same to the last bit."""
        place = self.places[number]
        key = place.key if same_machine else place.worker_key
        if key:
            self.shelf.put_facts(key, facts)
        self.add(number, cell, key)
        self.made[number] = facts

    def status(self) -> str:
        """How many cells there are."""
        before = f", {self.found} of them from before" if self.found else ""
        return f"cell {len(self.latents)} of {len(self.places)}{before}"


class Workers(Protocol):
    """Draws the missing cells; returns messages. Raises ValueError if a cell cannot be drawn."""

    def draw(self, drawing: Drawing, plan: SamplingPlan, guidance: float) -> list[str]: ...


def draw(
    variants: Sequence[Variant], guidance: float, latent: dict, plan: SamplingPlan, seeds: Sequence[int],
    keep: bool = True, workers: Workers | None = None,
) -> Drawn:  # fmt: skip
    """Samples every CLIP prompt with every T5 prompt, every seed and every LoRA, each as MMDiT Sampler does.

    One LoRA's cells follow each other, so that ComfyUI patches the weights once for each LoRA. With `workers`, they
    sample the cells that are not cached.

    Raises ValueError for a LATENT with more than one picture.
    """
    if len(latent[SAMPLES]) != 1:
        raise ValueError(
            f"Prompt Grid: got a LATENT with {len(latent[SAMPLES])} pictures, expected one. `seeds` draws several of "
            "each cell."
        )
    shelf = cells()
    shelf.forget()
    drawing = Drawing(_places(variants, guidance, latent, plan, seeds, keep), shelf)
    drawing.look_up(workers is not None)
    notes: list[str] = []
    if workers is not None and drawing.missing:
        notes = workers.draw(drawing, plan, guidance)
    else:
        _draw_here(drawing, guidance, latent, plan)
    grid = torch.cat([drawing.latents[number] for number in range(len(drawing.places))])
    mask = mask_of(latent, grid[:1])
    design = len(variants), len(seeds), len(variants[0].vecs), len(variants[0].txts)
    is_kept = keep and all(place.key for place in drawing.places)
    made = [drawing.made.get(number) for number in range(len(drawing.places))]
    return Drawn(grid.reshape(*design, *grid.shape[1:]), drawing.found, is_kept, mask, made, notes)


def _places(variants, guidance: float, latent: dict, plan: SamplingPlan, seeds: Sequence[int], keep: bool) -> list:
    found = []
    for variant in variants:
        model = variant.digest if keep else None
        for seed in seeds:
            its = replace(plan, seed=seed)
            found += [Place(variant, seed, vec, txt, identity.of_cell(model, vec, txt, guidance, latent, its))
                      for vec in variant.vecs for txt in variant.txts]  # fmt: skip
    return found


def _draw_here(drawing: Drawing, guidance: float, latent: dict, plan: SamplingPlan) -> None:
    for number in drawing.missing:
        check_interrupted()
        place = drawing.places[number]
        told = f", {place.variant.line.label}" if place.variant.line else ""
        before = f", {drawing.found} of them from before" if drawing.found else ""
        show(f"cell {number + 1} of {len(drawing.places)}{told}{before}")
        prompt = join(place.vec, place.txt, guidance, MERGES)
        cell = sample(place.variant.model, prompt, None, latent, replace(plan, seed=place.seed))[SAMPLES]
        drawing.add(number, cell, place.key)
