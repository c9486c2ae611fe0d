"""Controls on every kind of FLUX.1, under every sampler and behind nodes that patch the MODEL.

One identity uses rows, attention and modulation at once: a prompt whose blocks are all routed to another prompt, by
number, equals that prompt natively. It is tested for each model, each of ComfyUI's samplers and each patched MODEL,
with a negative and true CFG, where most of these patches act.
"""

from dataclasses import replace

import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras import (
    nodes_apg,
    nodes_cfg,
    nodes_eps,
    nodes_fresca,
    nodes_mahiro,
    nodes_model_advanced,
    nodes_rope,
    nodes_tcfg,
)

import nodes
from flux_duet.nano import layouts
from flux_duet.nodes.condition.place.nodes import Route
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy.inputs import randn
from flux_duet.tests.comfy.matrix.graph import CLIP_B, CLIP_C, LATENT, SEED, SHAPE, B, C, prompt, relative

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS = 3


def routed() -> list:
    return Route.execute(prompt(), prompt(B, CLIP_B), "0-2, final", "0-2")[0]


def drawn(model, positive, sampler="euler", scheduler="simple", cfg=2.0, latent=LATENT):
    return nodes.KSampler().sample(
        model, SEED, STEPS, cfg, sampler, scheduler, positive, prompt(C, CLIP_C), latent, 1.0
    )[0]["samples"]


def assert_is_b(model, tolerance=2e-5, **options) -> None:
    expected = drawn(model, prompt(B, CLIP_B), **options)
    assert expected.isfinite().all()
    assert relative(drawn(ApplyDuet.execute(model)[0], routed(), **options), expected) < tolerance
    assert relative(expected, drawn(model, prompt(), **options)) > 10 * tolerance, "the prompts differ"


def loaded(shape=SHAPE, channels: int = 16, **options):
    weights = layouts.random_state_dicts(shape)["flux"]
    if channels != 16:
        weights["img_in.weight"] = randn(30, 128, channels * 4) / (channels * 4) ** 0.5
    return comfy.sd.load_diffusion_model_state_dict(weights, model_options=options)


MODELS = {
    "schnell": (lambda: loaded(replace(SHAPE, guidance=False)), 2e-5),
    "Canny, Depth": (lambda: loaded(channels=32), 2e-5),
    "Fill": (lambda: loaded(channels=96), 2e-5),
    "bf16": (lambda: loaded(dtype=torch.bfloat16), 2e-2),
    "fp8": (lambda: loaded(dtype=torch.float8_e4m3fn), 2e-5),  # computed in float32 here
}


@pytest.mark.parametrize("name", MODELS)
def test_on_every_kind_of_model(name):
    make, tolerance = MODELS[name]
    model = make()
    expected, out = drawn(model, prompt(B, CLIP_B)), drawn(ApplyDuet.execute(model)[0], routed())
    assert relative(out, expected) < tolerance
    assert relative(expected, drawn(model, prompt())) > tolerance


@pytest.mark.parametrize("sampler", comfy.samplers.KSampler.SAMPLERS)
def test_under_every_sampler(flux, sampler):
    assert_is_b(flux, 1e-4, sampler=sampler)


@pytest.mark.parametrize("size", [(7, 9), (15, 6), (12, 13)])
def test_at_odd_sizes(flux, size):
    assert_is_b(flux, latent={"samples": torch.zeros(1, 16, *size)})


PATCHES = {
    "RescaleCFG": lambda model: nodes_model_advanced.RescaleCFG().patch(model, 0.7)[0],
    "ModelSamplingSD3": lambda model: nodes_model_advanced.ModelSamplingSD3().patch(model, 3.0, 1.0)[0],
    "ModelSamplingAuraFlow": lambda model: nodes_model_advanced.ModelSamplingAuraFlow().patch_aura(model, 1.7)[0],
    "ModelComputeDtype": lambda model: nodes_model_advanced.ModelComputeDtype().patch(model, "fp32")[0],
    "CFGZeroStar": lambda model: nodes_cfg.CFGZeroStar.execute(model)[0],
    "CFGNorm": lambda model: nodes_cfg.CFGNorm.execute(model, 0.9)[0],
    "APG": lambda model: nodes_apg.APG.execute(model, 0.8, 5.0, 0.3)[0],
    "TCFG": lambda model: nodes_tcfg.TCFG.execute(model)[0],
    "Mahiro": lambda model: nodes_mahiro.Mahiro.execute(model)[0],
    "FreSca": lambda model: nodes_fresca.FreSca.execute(model, 1.0, 1.25, 2)[0],
    "EpsilonScaling": lambda model: nodes_eps.EpsilonScaling.execute(model, 1.02)[0],
    "TemporalScoreRescaling": lambda model: nodes_eps.TemporalScoreRescaling.execute(model, 0.95, 1.0)[0],
    "ScaleROPE": lambda model: nodes_rope.ScaleROPE.execute(model, 1.2, 0.5, 0.9, 0.0, 1.0, 0.0)[0],
}


@pytest.mark.parametrize("name", PATCHES)
def test_behind_nodes_that_patch_the_model(flux, name):
    assert_is_b(PATCHES[name](flux))
