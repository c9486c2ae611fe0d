"""Encoder Influence with a noise_mask: numbers are over the repainted part."""

import json

import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom
from comfy_extras.nodes_differential_diffusion import DifferentialDiffusion

from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.probe.influence.effects import STREAMS
from flux_duet.nodes.probe.influence.nodes import EMPTY, Influence, ShowInfluence
from flux_duet.nodes.probe.repainted import NOTHING_REPAINTED, repainted_sentence
from flux_duet.nodes.probe.words.nodes import WordAblation
from flux_duet.tests.comfy import native
from flux_duet.tests.comfy.inpainting.runs import (
    LATENTS,
    NO_TXT,
    NO_VEC,
    ONE,
    SEED,
    SIDE,
    SOFT,
    STEPS,
    TXT,
    VEC,
    drawn,
    heat,
    sampled,
    swept,
)
from flux_duet.tests.comfy.inputs import randn

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


VARIANTS = {"v11": (VEC, TXT), "v10": (NO_VEC, TXT), "v01": (VEC, NO_TXT), "v00": (NO_VEC, NO_TXT)}


def by_hand(model, latent: dict) -> tuple[list[dict[str, torch.Tensor]], list[torch.Tensor]]:
    """At each step of the run of v11: every way's velocity as the model gives it, and what the sampler takes of it."""
    positives = {name: join(*streams, 3.5) for name, streams in VARIANTS.items()}
    found, prompts = [], {}

    def ask(executor, model, conds, x, timestep, options):
        for name, positive in positives.items():
            if name not in prompts:
                prompts[name] = [
                    {
                        **conds[0][0],
                        "model_conds": {
                            **conds[0][0]["model_conds"],
                            "c_crossattn": type(conds[0][0]["model_conds"]["c_crossattn"])(positive[0][0]),
                            "y": type(conds[0][0]["model_conds"]["y"])(positive[0][1]["pooled_output"]),
                        },
                    }
                ]
        predictions = {name: executor(model, [prompts[name]], x, timestep, options)[0] for name in positives}
        found.append({name: (x - out) / timestep[0] for name, out in predictions.items()})
        return executor(model, conds, x, timestep, options)

    watched = model.clone()
    watched.add_wrapper_with_key("calc_cond_batch", "by hand", ask)
    sampled(watched, positives["v11"], latent=latent)
    sigmas = custom.BasicScheduler.execute(model, "simple", STEPS, 1.0)[0]
    return found, native.masks_in_use(model, positives["v11"], latent, sigmas)


def numbers(velocities: list[dict[str, torch.Tensor]]) -> dict[str, float]:
    """The formulas of the help page, for velocities of any number of steps."""
    v11, v10, v01, v00 = (torch.cat([each[name].flatten() for each in velocities]).double() for name in VARIANTS)
    whole = v11 - v00
    parts = {"clip": (v11 - v10 + v01 - v00) / 2, "t5": (v11 - v01 + v10 - v00) / 2}
    lengths = {"D_clip": v11 - v10, "D_t5": v11 - v01, "solo_clip": v01 - v00, "solo_t5": v10 - v00, "whole": whole}
    return {
        **{name: float(each.norm() / v11.norm()) for name, each in lengths.items()},
        **{f"share_{stream}": float(part @ whole / (whole @ whole)) for stream, part in parts.items()},
    }


def taken(found, masks) -> list[dict[str, torch.Tensor]]:
    return [{name: mask * v for name, v in each.items()} for each, mask in zip(found, masks, strict=True)]


def influence(model, latent: dict):
    """(the run's LATENT, the reading, Show Influence's outputs)."""
    ready, probe = Influence.execute(model, EMPTY, 1, NO_VEC, NO_TXT, txt=TXT).result
    out = sampled(ready, join(VEC, TXT, 3.5), latent=latent)
    return out, probe.reading(out), ShowInfluence.execute(probe, out).result


@pytest.mark.parametrize("kind", LATENTS)
def test_influence_is_of_what_reaches_the_picture(model, kind):
    """In a model whose T5 prompt has most of its effect on the left, where most is kept."""

    def planted(apply_model, args):
        out = apply_model(args["input"], args["timestep"], **args["c"])
        says = args["c"]["c_crossattn"][:, 0, :16, None, None]
        return out + says * (torch.arange(SIDE) < SIDE // 2)

    model, latent = model.clone(), LATENTS[kind]
    model.set_model_unet_function_wrapper(planted)
    out, reading, (*_, sentence, _, data) = influence(model, latent)
    assert torch.equal(out["samples"], sampled(model, join(VEC, TXT, 3.5), latent=latent)["samples"])
    found, masks = by_hand(model, latent)
    expected, dense = numbers(taken(found, masks)), numbers(found)
    measured = reading.numbers("whole run", EMPTY)
    assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=3e-4, abs=2e-5)
    assert expected["share_clip"] > dense["share_clip"] + 0.05, "what is kept must matter for this to mean anything"
    assert measured["share_clip"] + measured["share_t5"] == pytest.approx(1, abs=1e-9)
    data = json.loads(data)
    shares = [float(mask.mean()) for mask in masks[0]]
    assert data["repainted"] == pytest.approx(shares) and repainted_sentence(shares) in sentence
    for picture, each in enumerate(data["pictures"]):
        own = numbers([{name: v[picture : picture + 1] for name, v in step.items()} for step in taken(found, masks)])
        assert {name: each[EMPTY][name] for name in own} == pytest.approx(own, rel=3e-4, abs=2e-5)


@pytest.mark.parametrize("kind", ["half", "soft", "a mask for each"])
def test_influence_maps_are_against_the_mean_of_what_is_repainted(model, kind):
    _, reading, (_, _, clip_mask, t5_mask, *_) = influence(model, LATENTS[kind])
    found, masks = by_hand(model, LATENTS[kind])
    for step, (moment, mask) in enumerate(zip(reading.moments, masks, strict=True)):
        v11, v10, v01, v00 = (mask * found[step][name] for name in VARIANTS)
        # The mean over places, weighted by the mask.
        mean = (v11.square().sum((1, 2, 3)) / mask[:, 0].square().sum((1, 2))).sqrt()[:, None, None]
        parts = {"clip": (v11 - v10 + v01 - v00) / 2, "t5": (v11 - v01 + v10 - v00) / 2}
        expected = torch.stack([parts[stream].norm(dim=1) / mean for stream in STREAMS])
        assert (moment.effects[EMPTY].maps - expected).abs().max() < 1e-4
    assert max(clip_mask.max(), t5_mask.max()) > 0.5
    if kind == "half":  # except for the interpolation to pixels
        assert not clip_mask[..., : 8 * (SIDE // 2 - 1)].any() and not t5_mask[..., : 8 * (SIDE // 2 - 1)].any()


def test_the_floor_is_of_what_is_repainted_too(model):
    """Noise in the kept half alone does not count."""

    def noisy(apply_model, args):
        out = apply_model(args["input"], args["timestep"], **args["c"])
        if len(args["cond_or_uncond"]) > 1:  # an extra evaluation, in a batch
            out[..., : SIDE // 2] += 0.1 * randn(len(out), *out[..., : SIDE // 2].shape)
        return out

    clone = model.clone()
    clone.set_model_unet_function_wrapper(noisy)
    floors = [influence(clone, latent)[1].floor("whole run") for latent in (LATENTS["half"], {"samples": ONE})]
    assert floors[0] < 1e-5 < 1e-2 < floors[1]


def test_differential_diffusion_as_each_step_repaints(model):
    """The mask changes at each step; its function is called as often as without a probe."""
    latent = {"samples": ONE, "noise_mask": SOFT.clamp_min(0.05)}
    calls = []

    def counted(model):
        model = model.clone()
        own = model.model_options["denoise_mask_function"]
        model.set_model_denoise_mask_function(lambda *args, **kwargs: calls.append(1) or own(*args, **kwargs))
        return model

    plain = counted(DifferentialDiffusion.execute(model)[0])
    picture = sampled(plain, join(VEC, TXT, 3.5), latent=latent)["samples"]
    assert len(calls) == STEPS
    out, reading, (*_, data) = influence(plain, latent)
    assert torch.equal(out["samples"], picture) and len(calls) == 2 * STEPS
    found, masks = by_hand(plain, latent)
    shares = [float(mask.mean()) for mask in masks]
    assert len(set(shares)) > 2 and [float(each.repainted) for each in reading.moments] == pytest.approx(shares)
    assert [row["repainted"] for row in json.loads(data)["per_step"]] == pytest.approx(shares)
    for step, moment in enumerate(taken(found, masks)):
        expected, row = numbers([moment]), json.loads(data)["per_step"][step]
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=3e-4, abs=2e-5)


def test_a_mask_of_ones_changes_no_number(model):
    """And without a mask the sentence does not mention it."""
    *_, (*_, sentence, csv, data) = influence(model, {"samples": ONE})
    *_, (*_, full_sentence, _, full) = influence(model, {"samples": ONE, "noise_mask": torch.ones(1, SIDE, SIDE)})
    data, full = json.loads(data), json.loads(full)
    assert data["parts"] == full["parts"] and data["floor"] == full["floor"] and data["pictures"] == full["pictures"]
    assert data["repainted"] is None and "epainted" not in sentence and "repainted" not in csv
    assert full["repainted"] == [1.0] and repainted_sentence([1.0]) in full_sentence


def test_nothing_is_repainted(model, singles, vae):
    latent = {"samples": ONE, "noise_mask": torch.zeros(1, SIDE, SIDE)}
    out, _, (*_, sentence, _, data) = influence(model, latent)
    assert sentence.startswith(NOTHING_REPAINTED) and "NaN" not in data
    assert torch.equal(out["samples"], sampled(model, join(VEC, TXT, 3.5), latent=latent)["samples"])
    clip, t5 = singles
    _, sentence, data, _ = WordAblation.execute(
        model, clip, t5, "at night", "a circle", latent, 3.5, SEED, STEPS, "euler", "simple"
    ).result
    assert sentence.startswith(NOTHING_REPAINTED) and "NaN" not in data
    assert all(not any(each["encoded again"]) for each in json.loads(data)["words"])
    *_, data, sentence = swept(model, latent, vae=vae)
    assert sentence == NOTHING_REPAINTED and json.loads(data)["decided"] == {"latents": None, "pixels": None}
    *_, data, sentence = drawn(model, singles, vae, latent)
    assert sentence == NOTHING_REPAINTED and "NaN" not in data and json.loads(data)["repainted"] == 0
    *_, masks, _, data, _ = heat(model, singles, latent)
    assert not masks.any() and "NaN" not in data and json.loads(data)["repainted"] == [0.0]
