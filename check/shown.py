"""What the probes show: Show Heatmap's and Show Influence's pages, and Switch Sweep, which samples by itself.

Needs ComfyUI.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import folder_paths
import torch
from PIL import Image

from ..bench.controls import GUIDANCE
from ..nodes.condition.conditioning import join
from ..nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from ..nodes.probe.influence.nodes import Influence, ShowInfluence
from ..nodes.probe.sweep.nodes import SwitchSweep
from ..nodes.sample.nodes import MMDiTSampler
from .equal import compared
from .kit import SEED, Kit
from .report import Fact, Row
from .sections import Section
from .times import INFLUENCE_EVALUATIONS, ours


def heatmap(kit: Kit) -> Iterator[Row]:
    flux, probe = Heatmap.execute(kit.models.flux(), kit.words).result
    yield from _page(kit, "Show Heatmap", flux, lambda latent: ShowHeatmap.execute(probe, latent).result[0])
    yield Fact("Show Heatmap: files in the temp folder", round(_size(folder_paths.get_temp_directory()) / 1e6, 1), "MB")


def influence(kit: Kit) -> Iterator[Row]:
    empty = {"empty_vec": kit.prompts.vec(3), "empty_txt": kit.prompts.txt(3)}
    flux, probe = Influence.execute(kit.models.flux(), **empty).result
    yield from _page(kit, "Show Influence", flux, lambda latent: ShowInfluence.execute(probe, latent).result[0])


def _page(kit: Kit, name: str, flux, show: Callable[[dict], torch.Tensor]) -> Iterator[Row]:
    """A run with the probe, then its page, which is kept beside the report."""
    plan = {"seed": SEED, "steps": kit.steps, "sampler": "euler", "scheduler": "simple"}
    latent = MMDiTSampler.execute(flux, kit.positive, kit.latent(), **plan)[0]
    started = time.perf_counter()
    page = show(latent)
    yield Fact(f"{name}: from the LATENT to the page", round(time.perf_counter() - started, 3), "s")
    picture = Image.fromarray((page[0] * 255).round().to(torch.uint8).numpy())
    kit.pages[f"{name.lower().replace(' ', '_')}.png"] = picture
    yield Fact(f"{name}: page", f"{picture.width} x {picture.height}", "pixels")


def sweep(kit: Kit) -> Iterator[Row]:
    """Switch Sweep's picture of prompt A alone is MMDiT Sampler's."""
    flux, a = kit.models.flux(), kit.positive
    b = join(kit.prompts.vec(1), kit.prompts.txt(2), GUIDANCE)
    plan: dict[str, Any] = {"seed": SEED, "steps": kit.steps, "sampler": "euler", "scheduler": "simple"}
    started = time.perf_counter()
    latents = SwitchSweep.execute(flux, a, b, "T5", kit.latent(), batch=1, **plan).result[1]["samples"]
    yield Fact("Switch Sweep, a switch before every step", round(time.perf_counter() - started, 2), "s")
    yield compared("sample, Switch Sweep without a switch", ours(kit, flux, a), latents[-1:])


def _size(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def sections() -> list[Section]:
    def evaluations(factor: float) -> Callable[[Kit], float]:
        return lambda kit: kit.expected(kit.steps * factor)

    return [
        Section("show.heatmap", "Show Heatmap", heatmap, evaluations(1.2)),
        Section("show.influence", "Show Influence", influence, evaluations(INFLUENCE_EVALUATIONS)),
        Section("sweep", "Switch Sweep", sweep, lambda kit: kit.expected(kit.steps * (kit.steps + 5) / 2)),
    ]
