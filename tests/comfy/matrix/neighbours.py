"""Native nodes to combine with controls: those that take a CONDITIONING, and LoRAs, each wired as users do."""

from __future__ import annotations

from dataclasses import replace

import comfy.sd
from comfy_extras import nodes_edit_model, nodes_flux, nodes_hooks

import nodes
from flux_duet.tests.comfy.inputs import randn
from flux_duet.tests.comfy.matrix.graph import CLIP_C, C, prompt
from flux_duet.tests.comfy.matrix.registry import HALF, neighbour, on_positive


@neighbour("alone")
def alone(world, graph):
    return graph


# ---- CONDITIONING


@on_positive("Combine", own_entry=True)
def combine(world, positive):
    return nodes.ConditioningCombine().combine(positive, world.other)[0]


@on_positive("Combine, both controlled", own_entry=True)
def combine_itself(world, positive):
    return nodes.ConditioningCombine().combine(positive, hook(world, positive))[0]


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
    """Adds a prompt for the rest of the picture, which ComfyUI needs if a prompt has a part of it."""
    return nodes.ConditioningCombine().combine(positive, world.other)[0]


@on_positive("SetArea", own_entry=True)
def set_area(world, positive):
    return _elsewhere(world, nodes.ConditioningSetArea().append(positive, 64, 64, 32, 16, 1.0)[0])


@on_positive("SetAreaPercentage", own_entry=True)
def set_area_percentage(world, positive):
    area = nodes.ConditioningSetAreaPercentage().append(positive, 0.67, 1.0, 0.33, 0.0, 1.0)[0]
    return _elsewhere(world, area)


@neighbour("SetArea, negative", own_entry=True, distinguishes=True)
def set_area_negative(world, graph):
    """ComfyUI makes the negative an entry of the same area, which has the positive's id."""
    return replace(graph, positive=set_area(world, graph.positive), negative=prompt(C, CLIP_C), cfg=2.0)


@on_positive("SetMask", own_entry=True)
def set_mask(world, positive):
    return _elsewhere(world, nodes.ConditioningSetMask().append(positive, HALF, "default", 1.0)[0])


@on_positive("SetMask (bounds)", own_entry=True)
def set_mask_bounds(world, positive):
    return _elsewhere(world, nodes.ConditioningSetMask().append(positive, HALF, "mask bounds", 1.0)[0])


@on_positive("SetDefaultCombine", own_entry=True)
def default(world, positive):
    masked = nodes.ConditioningSetMask().append(positive, HALF, "default", 1.0)[0]
    return nodes_hooks.ConditioningSetDefaultAndCombine().set_default_and_combine(masked, world.other)[0]


@on_positive("SetTimestepRange", own_entry=True)
def timestep_range(world, positive):
    first = nodes.ConditioningSetTimestepRange().set_range(positive, 0.0, 0.5)[0]
    last = nodes.ConditioningSetTimestepRange().set_range(world.other, 0.5, 1.0)[0]
    return nodes.ConditioningCombine().combine(first, last)[0]


@on_positive("Redux, multiply")
def redux(world, positive):
    return nodes.StyleModelApply().apply_stylemodel(positive, world.style, Seen(), 0.5, "multiply")[0]


@on_positive("Redux, attn_bias")
def redux_bias(world, positive):
    return nodes.StyleModelApply().apply_stylemodel(positive, world.style, Seen(), 0.3, "attn_bias")[0]


class Seen:
    """The part of CLIP vision's output that a style model reads."""

    last_hidden_state = randn(21, 1, 5, 32)


@on_positive("ReferenceLatent")
def reference(world, positive):
    return nodes_edit_model.ReferenceLatent.execute(positive, {"samples": randn(22, 1, 16, 6, 10)})[0]


@on_positive("ReferenceLatent twice")
def references(world, positive):
    return nodes_edit_model.ReferenceLatent.execute(reference(world, positive), {"samples": randn(23, 1, 16, 4, 4)})[0]


@on_positive("FluxGuidance")
def guidance(world, positive):
    return nodes_flux.FluxGuidance.execute(positive, 8.0)[0]


@on_positive("FluxDisableGuidance")
def no_guidance(world, positive):
    return nodes_flux.FluxDisableGuidance.execute(positive)[0]


def _controlled(world, graph, net, vae):
    """With strength enough for random weights to show, and a negative, as users of ControlNet have it."""
    positive, negative = nodes.ControlNetApplyAdvanced().apply_controlnet(
        graph.positive, world.other, net, world.picture, 0.7, 0.0, 1.0, vae
    )
    return replace(graph, positive=positive, negative=negative, cfg=2.0)


@neighbour("ControlNet (XLabs)")
def xlabs(world, graph):
    return _controlled(world, graph, world.xlabs, None)


@neighbour("ControlNet (InstantX)")
def instantx(world, graph):
    return _controlled(world, graph, world.instantx, world.vae)


@neighbour("two ControlNets, for a part")
def two_nets(world, graph):
    apply = nodes.ControlNetApplyAdvanced().apply_controlnet
    pair = apply(graph.positive, world.other, world.xlabs, world.picture, 0.7, 0.0, 0.5)
    positive, negative = apply(*pair, world.instantx, world.picture, 0.5, 0.3, 1.0, world.vae)
    return replace(graph, positive=positive, negative=negative, cfg=2.0)


@neighbour("InpaintModelConditioning")
def fill(world, graph):
    positive, _, latent = nodes.InpaintModelConditioning().encode(
        graph.positive, graph.positive, world.picture, world.vae, HALF, True
    )
    return replace(graph, model=world.fill, positive=positive, latent=latent)


# ---- LoRAs


@on_positive("hook LoRA")
def hook(world, positive):
    return nodes_hooks.ConditioningSetProperties().set_properties(positive, 1.0, "default", hooks=world.hooks)[0]


@on_positive("hook LoRA, keyframes")
def keyframes(world, positive):
    return nodes_hooks.ConditioningSetProperties().set_properties(positive, 1.0, "default", hooks=world.keyframed)[0]


@neighbour("model LoRA")
def lora(world, graph):
    return replace(graph, model=comfy.sd.load_lora_for_models(graph.model, None, world.lora, 1.0, 0.0)[0])
