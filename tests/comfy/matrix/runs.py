"""The rest of the neighbours: guiders, and nodes for the model, the latent and the sampler."""

from __future__ import annotations

from dataclasses import replace

import torch
from comfy_extras import nodes_custom_sampler as custom
from comfy_extras import (
    nodes_differential_diffusion,
    nodes_easycache,
    nodes_flux,
    nodes_model_advanced,
    nodes_perpneg,
    nodes_slg,
)

from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy.inputs import randn
from flux_duet.tests.comfy.matrix.graph import CLIP_C, SIDE, STEPS, C, by_ksampler, by_mmdit, prompt
from flux_duet.tests.comfy.matrix.neighbours import references
from flux_duet.tests.comfy.matrix.registry import HALF, NEIGHBOURS, SPLIT, neighbour

# ---- guiders


@neighbour("negative, cfg")
def negative(world, graph):
    return replace(graph, negative=world.other, cfg=3.0)


@neighbour("BasicGuider")
def basic_guider(world, graph):
    return replace(graph, guider=lambda model, positive, _: custom.BasicGuider.execute(model, positive)[0])


@neighbour("CFGGuider")
def cfg_guider(world, graph):
    return replace(
        graph, guider=lambda model, positive, _: custom.CFGGuider.execute(model, positive, world.other, 3.0)[0]
    )


@neighbour("DualCFGGuider")
def dual_cfg(world, graph):
    return replace(
        graph,
        guider=lambda model, positive, _: custom.DualCFGGuider.execute(
            model, positive, world.other, prompt(C, CLIP_C), 2.0, 3.0, "regular"
        )[0],
    )


@neighbour("DualCFGGuider, nested")
def dual_cfg_nested(world, graph):
    return replace(
        graph,
        guider=lambda model, positive, _: custom.DualCFGGuider.execute(
            model, positive, world.other, prompt(C, CLIP_C), 2.0, 3.0, "nested"
        )[0],
    )


@neighbour("PerpNegGuider")
def perp_neg(world, graph):
    return replace(
        graph,
        guider=lambda model, positive, _: nodes_perpneg.PerpNegGuider.execute(
            model, positive, world.other, prompt(C, CLIP_C), 2.0, 1.0
        )[0],
    )


# ---- the model, the latent, the sampler


@neighbour("EasyCache", distinguishes=True, caches=True)
def easy_cache(world, graph):
    return replace(graph, model=nodes_easycache.EasyCacheNode.execute(graph.model, 1.0, 0.0, 1.0, False)[0])


@neighbour("LazyCache", distinguishes=True, caches=True)
def lazy_cache(world, graph):
    return replace(graph, model=nodes_easycache.LazyCacheNode.execute(graph.model, 1.0, 0.0, 1.0, False)[0])


@neighbour("FluxKVCache", keeps=True)
def kv_cache(world, graph):
    """With the method of FLUX.1 Kontext: the node's own, index_timestep_zero, raises on FLUX.1 natively."""
    positive = nodes_flux.FluxKontextMultiReferenceLatentMethod.execute(references(world, graph.positive), "offset")[0]
    return replace(graph, model=nodes_flux.FluxKVCache.execute(graph.model)[0], positive=positive)


@neighbour("ModelSamplingFlux")
def model_sampling(world, graph):
    return replace(graph, model=nodes_model_advanced.ModelSamplingFlux().patch(graph.model, 1.15, 0.5, 96, 96)[0])


@neighbour("SkipLayerGuidanceDiT")
def skip_layers(world, graph):
    model = nodes_slg.SkipLayerGuidanceDiT.execute(graph.model, 2.0, 0.0, 1.0, "0", "1")[0]
    return replace(graph, model=model, negative=world.other, cfg=2.0)


@neighbour("odd size")
def odd(world, graph):
    return replace(graph, latent={"samples": torch.zeros(1, 16, 7, 9)})


@neighbour("batch of 2")
def batch(world, graph):
    return replace(graph, latent={"samples": torch.zeros(2, 16, SIDE, SIDE)}, negative=world.other, cfg=2.0)


@neighbour("noise mask")
def noise_mask(world, graph):
    return replace(graph, latent={"samples": randn(24, 1, 16, SIDE, SIDE), "noise_mask": HALF})


@neighbour("DifferentialDiffusion")
def differential(world, graph):
    soft = torch.linspace(0, 1, 8 * SIDE).expand(1, 8 * SIDE, 8 * SIDE)
    return replace(
        graph,
        model=nodes_differential_diffusion.DifferentialDiffusion.execute(graph.model)[0],
        latent={"samples": randn(24, 1, 16, SIDE, SIDE), "noise_mask": soft},
    )


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


__all__ = ["NEIGHBOURS"]
