"""A graph at the point of sampling, by MMDiT Sampler or a native sampler, and the prompts shared by all cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from comfy_extras import nodes_custom_sampler as custom
from torch import Tensor

import nodes
from flux_duet.nano.layouts import Shape
from flux_duet.nodes.condition.controls import has_controls
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.sample.nodes import ApplyDuet, MMDiTSampler
from flux_duet.tests.comfy.inputs import txt, vec

STEPS, SEED, SIDE = 3, 5, 12
SHAPE = Shape(double=1, single=2)  # the cost of one evaluation is its number of blocks
LATENT = {"samples": torch.zeros(1, 16, SIDE, SIDE)}
MOST = 10_000  # KSamplerAdvanced's number for "to the end"


CLIP_A, CLIP_B, CLIP_C = vec(1), vec(2), vec(8)
A, B, C = txt(3, 9), txt(4, 13), txt(5, 7)


def prompt(text=A, clip=CLIP_A) -> list:
    return DualPrompt.execute(clip, text, 3.5)[0]


@dataclass(frozen=True)
class Graph:
    """`base` is what a neighbour takes for a negative of its own: natively the prompt that a control stands on.

    `guider` makes a GUIDER of (model, positive, negative); without it, KSampler samples. `sampler` takes the place of
    MMDiT Sampler, and `native` that of KSampler, for the reference.
    """

    model: Any
    positive: list
    base: list
    negative: list | None = None
    latent: dict = field(default_factory=lambda: LATENT)
    cfg: float = 1.0
    guider: Callable | None = None
    sampler: Callable[[Graph], Tensor] | None = None
    native: Callable[[Graph, Any], Tensor] | None = None


def ours(graph: Graph) -> Tensor:
    """The picture sampled by this pack: MMDiT Sampler, or Apply Duet before the graph's own sampler."""
    if graph.sampler is not None:
        return graph.sampler(graph)
    if graph.guider is not None:
        return by_guider(graph, ApplyDuet.execute(graph.model)[0])["samples"]
    return by_mmdit(graph)["samples"]


def by_mmdit(graph: Graph, latent: dict | None = None, **options) -> dict:
    return MMDiTSampler.execute(
        graph.model,
        graph.positive,
        latent or graph.latent,
        graph.negative,
        cfg=graph.cfg,
        seed=SEED,
        steps=STEPS,
        **{"sampler": "euler", "scheduler": "simple", "denoise": 1.0, **options},
    )[0]


def by_ksampler(graph: Graph, model, latent: dict, start: int = 0, end: int = MOST) -> dict:
    """KSamplerAdvanced, from a step to another; without noise of its own where it does not begin."""
    return nodes.KSamplerAdvanced().sample(
        model,
        "disable" if start else "enable",
        SEED,
        STEPS,
        graph.cfg,
        "euler",
        "simple",
        graph.positive,
        graph.negative or graph.positive,
        latent,
        start,
        end,
        "enable" if end < STEPS else "disable",
    )[0]


def by_guider(graph: Graph, model, latent: dict | None = None, start: int = 0, end: int = STEPS) -> dict:
    """SamplerCustomAdvanced, from a step to another."""
    sigmas = custom.BasicScheduler.execute(model, "simple", STEPS, 1.0)[0][start : end + 1]
    noise = custom.DisableNoise.execute()[0] if start else custom.RandomNoise.execute(SEED)[0]
    guider, sampler = graph.guider(model, graph.positive, graph.negative), custom.KSamplerSelect.execute("euler")[0]
    return custom.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent or graph.latent)[0]


def natively(graph: Graph, model=None) -> Tensor:
    """The picture sampled by ComfyUI alone, of a graph without controls."""
    model = model or graph.model
    if graph.native is not None:
        return graph.native(graph, model)
    if graph.guider is not None:
        return by_guider(graph, model)["samples"]
    return by_ksampler(graph, model, graph.latent)["samples"]


def chained(graphs: list[Graph]) -> Tensor:
    """A graph for each step, sampled by chained native samplers. A graph with a blend still needs Apply Duet."""
    latent, start = graphs[0].latent, 0
    while start < STEPS:
        graph = graphs[start]
        end = next((step for step in range(start, STEPS) if graphs[step] is not graph), STEPS)
        model = ApplyDuet.execute(graph.model)[0] if has_controls(graph.positive) else graph.model
        run = by_guider if graph.guider is not None else by_ksampler
        latent, start = run(graph, model, latent, start, end), end
    return latent["samples"]


def relative(one: Tensor, other: Tensor) -> float:
    assert one.shape == other.shape
    return ((one - other).norm() / other.norm()).item()
