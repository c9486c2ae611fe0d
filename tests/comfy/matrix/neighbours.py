"""The native nodes that stand beside a control: each puts itself into a graph, in the way in which users wire it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import comfy.hooks
import comfy.sd
import torch
from comfy_extras import nodes_custom_sampler as custom
from comfy_extras import (
    nodes_differential_diffusion,
    nodes_easycache,
    nodes_edit_model,
    nodes_flux,
    nodes_hooks,
    nodes_model_advanced,
    nodes_perpneg,
)
from torch import Tensor

import nodes
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy.matrix.graph import CLIP_C, SIDE, STEPS, C, Graph, by_ksampler, by_mmdit, prompt, randn

SPLIT = 1  # the step at which a second sampler goes on
HALF = torch.zeros(1, 8 * SIDE, 8 * SIDE)
HALF[..., : 4 * SIDE] = 1.0


@dataclass(frozen=True)
class World:
    """What neighbours need beside the graph: models, pictures, and `other`, the prompt that they bring along."""

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
        """The LoRA at a fifth, and whole from the middle of time on."""
        frames = None
        for strength, start in ((0.2, 0.0), (1.0, 0.5)):
            frames = nodes_hooks.CreateHookKeyframe().create_hook_keyframe(strength, start, frames)[0]
        return nodes_hooks.SetHookKeyframes().set_hook_keyframes(self.hooks, frames)[0]

    @property
    def picture(self) -> Tensor:
        return randn(20, 1, 8 * SIDE, 8 * SIDE, 3).sigmoid()


@dataclass(frozen=True)
class Neighbour:
    """`scale` is what becomes of all of a prompt's rows and vectors, those of a control's own texts too.

    `rows_alone` is for a node that takes a prompt's rows and leaves all else behind: the base prompt's, as natively.
    `caches` what it computed for a prompt, so that two prompts one after the other are not one that changes; `keeps`
    what the run's first forward has made of references. `beside` is one whose own prompt is an entry of its own.
    """

    place: Callable[[World, Graph], Graph]
    scale: float = 1.0
    rows_alone: bool = False
    caches: bool = False
    keeps: bool = False
    beside: bool = False


NEIGHBOURS: dict[str, Neighbour] = {}


def neighbour(name: str, **what):
    def keep(place):
        NEIGHBOURS[name] = Neighbour(place, **what)
        return place

    return keep


def on_positive(name: str, **what):
    """A neighbour that takes a CONDITIONING and gives one."""

    def keep(act: Callable[[World, list], list]):
        NEIGHBOURS[name] = Neighbour(
            lambda world, graph: replace(graph, positive=act(world, graph.positive)), **what)
        return act

    return keep


@neighbour("alone")
def alone(world, graph):
    return graph


# ---- CONDITIONING

@on_positive("Combine", beside=True)
def combine(world, positive):
    return nodes.ConditioningCombine().combine(positive, world.other)[0]


@on_positive("Concat (to)")
def concat(world, positive):
    return nodes.ConditioningConcat().concat(positive, world.other)[0]


@on_positive("Concat (from)", rows_alone=True)
def concat_from(world, positive):
    return nodes.ConditioningConcat().concat(world.other, positive)[0]


@on_positive("Average (to)")
def average(world, positive):
    return nodes.ConditioningAverage().addWeighted(positive, world.other, 0.7)[0]


@on_positive("Average (from)", rows_alone=True)
def average_from(world, positive):
    return nodes.ConditioningAverage().addWeighted(world.other, positive, 0.7)[0]


@neighbour("ZeroOut (negative)")
def zero_out(world, graph):
    return replace(graph, negative=nodes.ConditioningZeroOut().zero_out(graph.base)[0], cfg=3.0)


@on_positive("Multiply", scale=0.5)
def multiply(world, positive):
    return nodes.ConditioningMultiply().multiply(positive, 0.5)[0]


def _elsewhere(world, positive):
    """What ComfyUI wants for the rest of the picture, where a prompt has a part of it."""
    return nodes.ConditioningCombine().combine(positive, world.other)[0]


@on_positive("SetArea", beside=True)
def set_area(world, positive):
    return _elsewhere(world, nodes.ConditioningSetArea().append(positive, 64, 64, 32, 16, 1.0)[0])


@on_positive("SetAreaPercentage", beside=True)
def set_area_percentage(world, positive):
    area = nodes.ConditioningSetAreaPercentage().append(positive, 0.67, 1.0, 0.33, 0.0, 1.0)[0]
    return _elsewhere(world, area)


@on_positive("SetMask", beside=True)
def set_mask(world, positive):
    return _elsewhere(world, nodes.ConditioningSetMask().append(positive, HALF, "default", 1.0)[0])


@on_positive("SetMask (bounds)", beside=True)
def set_mask_bounds(world, positive):
    return _elsewhere(world, nodes.ConditioningSetMask().append(positive, HALF, "mask bounds", 1.0)[0])


@on_positive("SetTimestepRange", beside=True)
def timestep_range(world, positive):
    first = nodes.ConditioningSetTimestepRange().set_range(positive, 0.0, 0.7)[0]
    last = nodes.ConditioningSetTimestepRange().set_range(world.other, 0.7, 1.0)[0]
    return nodes.ConditioningCombine().combine(first, last)[0]


@on_positive("Redux, multiply")
def redux(world, positive):
    return nodes.StyleModelApply().apply_stylemodel(positive, world.style, Seen(), 0.5, "multiply")[0]


@on_positive("Redux, attn_bias")
def redux_bias(world, positive):
    return nodes.StyleModelApply().apply_stylemodel(positive, world.style, Seen(), 0.3, "attn_bias")[0]


class Seen:
    """What a style model reads of CLIP vision's output."""

    last_hidden_state = randn(21, 1, 5, 32)


@on_positive("ReferenceLatent")
def reference(world, positive):
    return nodes_edit_model.ReferenceLatent.execute(positive, {"samples": randn(22, 1, 16, 6, 10)})[0]


@on_positive("ReferenceLatent twice")
def references(world, positive):
    return nodes_edit_model.ReferenceLatent.execute(
        reference(world, positive), {"samples": randn(23, 1, 16, 4, 4)})[0]


@on_positive("FluxGuidance")
def guidance(world, positive):
    return nodes_flux.FluxGuidance.execute(positive, 8.0)[0]


@on_positive("FluxDisableGuidance")
def no_guidance(world, positive):
    return nodes_flux.FluxDisableGuidance.execute(positive)[0]


def _controlled(world, graph, net, vae):
    """With strength enough for random weights to show, and a negative, as users of ControlNet have it."""
    positive, negative = nodes.ControlNetApplyAdvanced().apply_controlnet(
        graph.positive, world.other, net, world.picture, 0.7, 0.0, 1.0, vae)
    return replace(graph, positive=positive, negative=negative, cfg=2.0)


@neighbour("ControlNet (XLabs)")
def xlabs(world, graph):
    return _controlled(world, graph, world.xlabs, None)


@neighbour("ControlNet (InstantX)")
def instantx(world, graph):
    return _controlled(world, graph, world.instantx, world.vae)


@neighbour("InpaintModelConditioning")
def fill(world, graph):
    positive, _, latent = nodes.InpaintModelConditioning().encode(
        graph.positive, graph.positive, world.picture, world.vae, HALF, True)
    return replace(graph, model=world.fill, positive=positive, latent=latent)


# ---- LoRAs

@on_positive("hook LoRA")
def hook(world, positive):
    return nodes_hooks.ConditioningSetProperties().set_properties(positive, 1.0, "default", hooks=world.hooks)[0]


@on_positive("hook LoRA, keyframes")
def keyframes(world, positive):
    return nodes_hooks.ConditioningSetProperties().set_properties(
        positive, 1.0, "default", hooks=world.keyframed)[0]


@neighbour("model LoRA")
def lora(world, graph):
    return replace(graph, model=comfy.sd.load_lora_for_models(graph.model, None, world.lora, 1.0, 0.0)[0])


# ---- guiders

@neighbour("negative, cfg")
def negative(world, graph):
    return replace(graph, negative=world.other, cfg=3.0)


@neighbour("BasicGuider")
def basic_guider(world, graph):
    return replace(graph, guider=lambda model, positive, _: custom.BasicGuider.execute(model, positive)[0])


@neighbour("CFGGuider")
def cfg_guider(world, graph):
    return replace(graph, guider=lambda model, positive, _: custom.CFGGuider.execute(
        model, positive, world.other, 3.0)[0])


@neighbour("DualCFGGuider")
def dual_cfg(world, graph):
    return replace(graph, guider=lambda model, positive, _: custom.DualCFGGuider.execute(
        model, positive, world.other, prompt(C, CLIP_C), 2.0, 3.0, "regular")[0])


@neighbour("DualCFGGuider, nested")
def dual_cfg_nested(world, graph):
    return replace(graph, guider=lambda model, positive, _: custom.DualCFGGuider.execute(
        model, positive, world.other, prompt(C, CLIP_C), 2.0, 3.0, "nested")[0])


@neighbour("PerpNegGuider")
def perp_neg(world, graph):
    return replace(graph, guider=lambda model, positive, _: nodes_perpneg.PerpNegGuider.execute(
        model, positive, world.other, prompt(C, CLIP_C), 2.0, 1.0)[0])


# ---- the model, the latent, the sampler

@neighbour("EasyCache", caches=True)
def easy_cache(world, graph):
    return replace(graph, model=nodes_easycache.EasyCacheNode.execute(graph.model, 1.0, 0.0, 1.0, False)[0])


@neighbour("FluxKVCache", keeps=True)
def kv_cache(world, graph):
    """With the method of FLUX.1 Kontext: the node's own, index_timestep_zero, raises on FLUX.1 natively."""
    positive = nodes_flux.FluxKontextMultiReferenceLatentMethod.execute(references(world, graph.positive), "offset")[0]
    return replace(graph, model=nodes_flux.FluxKVCache.execute(graph.model)[0], positive=positive)


@neighbour("ModelSamplingFlux")
def model_sampling(world, graph):
    return replace(graph, model=nodes_model_advanced.ModelSamplingFlux().patch(graph.model, 1.15, 0.5, 96, 96)[0])


@neighbour("batch of 2")
def batch(world, graph):
    return replace(graph, latent={"samples": torch.zeros(2, 16, SIDE, SIDE)}, negative=world.other, cfg=2.0)


@neighbour("noise mask")
def noise_mask(world, graph):
    return replace(graph, latent={"samples": randn(24, 1, 16, SIDE, SIDE), "noise_mask": HALF})


@neighbour("DifferentialDiffusion")
def differential(world, graph):
    soft = torch.linspace(0, 1, 8 * SIDE).expand(1, 8 * SIDE, 8 * SIDE)
    return replace(graph, model=nodes_differential_diffusion.DifferentialDiffusion.execute(graph.model)[0],
                   latent={"samples": randn(24, 1, 16, SIDE, SIDE), "noise_mask": soft})


@neighbour("MMDiT Sampler twice")
def mmdit_twice(world, graph):
    def sampler(graph):
        first = by_mmdit(graph, end_step=SPLIT, leftover_noise=True)
        return by_mmdit(graph, first, start_step=SPLIT, add_noise=False)["samples"]

    return replace(graph, sampler=sampler)


@neighbour("KSamplerAdvanced twice")
def ksampler_twice(world, graph):
    """Each of them counts its own steps from 0: a native sampler does not say where in a run it begins."""

    def native(graph, model):
        first = by_ksampler(graph, model, graph.latent, 0, SPLIT)
        return by_ksampler(graph, model, first, SPLIT, STEPS)["samples"]

    return replace(graph, sampler=lambda graph: native(graph, ApplyDuet.execute(graph.model)[0]), native=native)
