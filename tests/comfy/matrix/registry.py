"""The class of neighbours (native nodes combined with controls), and the table of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import comfy.hooks
import torch
from comfy_extras import nodes_hooks
from torch import Tensor

from flux_duet.tests.comfy.inputs import randn
from flux_duet.tests.comfy.matrix.graph import SIDE, Graph

SPLIT = 1  # the step at which a second sampler continues
HALF = torch.zeros(1, 8 * SIDE, 8 * SIDE)
HALF[..., : 4 * SIDE] = 1.0


@dataclass(frozen=True)
class World:
    """What neighbours need besides the graph: models, pictures, and `other`, a second prompt."""

    fill: Any
    vae: Any
    xlabs: Any
    instantx: Any
    style: Any
    lora: dict[str, Tensor]
    hooks: comfy.hooks.HookGroup
    other: list

    @cached_property
    def keyframed(self) -> comfy.hooks.HookGroup:
        """The LoRA at strength 0.2, and 1 from 50 % of time on."""
        frames = None
        for strength, start in ((0.2, 0.0), (1.0, 0.5)):
            frames = nodes_hooks.CreateHookKeyframe().create_hook_keyframe(strength, start, frames)[0]
        return nodes_hooks.SetHookKeyframes().set_hook_keyframes(self.hooks, frames)[0]

    @property
    def picture(self) -> Tensor:
        return randn(20, 1, 8 * SIDE, 8 * SIDE, 3).sigmoid()


@dataclass(frozen=True)
class Neighbour:
    """`scale` multiplies all of a prompt's rows and vectors, including those of a control's own texts.

    `rows_alone`: the node keeps only a prompt's rows, natively those of the base prompt. `distinguishes`: it treats two
    prompts in sequence differently from one that changes. `caches`: it caches a step's velocity. `keeps`: it keeps the
    references' keys and values of the run's first forward. `own_entry`: its own prompt is a separate entry.
    """

    place: Callable[[World, Graph], Graph]
    scale: float = 1.0
    rows_alone: bool = False
    distinguishes: bool = False
    caches: bool = False
    keeps: bool = False
    own_entry: bool = False


NEIGHBOURS: dict[str, Neighbour] = {}


def neighbour(name: str, **what):
    def keep(place):
        NEIGHBOURS[name] = Neighbour(place, **what)
        return place

    return keep


def on_positive(name: str, **what):
    """A neighbour that takes a CONDITIONING and returns one."""

    def keep(act: Callable[[World, list], list]):
        NEIGHBOURS[name] = Neighbour(lambda world, graph: replace(graph, positive=act(world, graph.positive)), **what)
        return act

    return keep
