"""Encoder Influence: its prompts, runs with and without it, and the four velocities as references."""

from functools import partial

import comfy.model_management
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom

from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.probe.influence.effects import effects, pooled
from flux_duet.nodes.probe.influence.nodes import EMPTY, Influence
from flux_duet.nodes.streams import ClipVec, Span, T5Text
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import txt, vec

STEPS, SIDE = 4, 8
LATENT = {"samples": torch.zeros(1, 16, SIDE, SIDE)}
PAIR = {"samples": torch.zeros(2, 16, SIDE, SIDE)}
VEC, TXT, NO_VEC, NO_TXT = vec(1), txt(2), vec(3), txt(4)
ZERO_VEC, ZERO_TXT = (ClipVec((Span(torch.zeros(1, 64)),)), T5Text((Span(torch.zeros(1, 9, 64)),)))


def prompt(clip=VEC, t5=TXT) -> list:
    return DualPrompt.execute(clip, t5, 3.5)[0]


sampled = partial(sampling.sampled, latent=LATENT, steps=STEPS)


natively = partial(sampling.natively, latent=LATENT, steps=STEPS)


def measured(model, null=EMPTY, every=1, empty_vec=NO_VEC, empty_txt=NO_TXT, blocks="", txt=None):
    return Influence.execute(model, null, every, empty_vec, empty_txt, blocks, txt).result


def velocities(model, prompts: dict, x: torch.Tensor, sigma: float) -> dict[str, torch.Tensor]:
    """(x - x0) / sigma of each prompt alone, from a native sampler's single step from x at sigma to 0."""
    out = {}
    for name, positive in prompts.items():
        guider = custom.BasicGuider.execute(model, positive)[0]
        # The noised empty latent is sigma * noise; an Euler step to 0 returns x0.
        samples = guider.sample(
            x / sigma,
            torch.zeros_like(x),
            comfy.samplers.sampler_object("euler"),
            torch.tensor([sigma, 0.0]),
            disable_pbar=True,
            seed=0,
        )
        out[name] = (x - model.model.process_latent_in(samples)) / sigma
    return out


def by_hand(model, latent: dict, prompts: dict, each: dict | None = None) -> list[dict[str, torch.Tensor]]:
    """The same at each step of the run of v11, whose x_t a callback records; with `each`, for these prompts instead."""
    seen = []
    guider = custom.BasicGuider.execute(model, prompts["v11"])[0]
    sigmas = custom.BasicScheduler.execute(model, "simple", STEPS, 1.0)[0]
    noise = comfy.sample.prepare_noise(latent["samples"], 5)
    guider.sample(
        noise,
        latent["samples"],
        comfy.samplers.sampler_object("euler"),
        sigmas,
        seed=5,
        disable_pbar=True,
        callback=lambda step, x0, x, total: seen.append(x.clone()),
    )
    prompts = {**prompts, **(each or {})}
    return [velocities(model, prompts, x, float(sigma)) for x, sigma in zip(seen, sigmas[:-1], strict=True)]


def four_prompts(no_vec=NO_VEC, no_txt=NO_TXT, clip=VEC, t5=TXT) -> dict:
    return {
        "v11": prompt(clip, t5),
        "v10": prompt(no_vec, t5),
        "v01": prompt(clip, no_txt),
        "v00": prompt(no_vec, no_txt),
    }


def check(reading, expected: list[dict], null=EMPTY, rel=2e-4) -> None:
    """Compares every number of every step."""
    assert len(reading.moments) == STEPS
    for moment, by in zip(reading.moments, expected, strict=True):
        assert pooled([moment.effects[null]]) == pytest.approx(pooled([effects(*by.values())]), rel=rel, abs=2e-5)
