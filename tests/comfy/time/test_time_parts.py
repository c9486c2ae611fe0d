"""Prompt At and Part of Run in the real model."""

import pytest
import torch

import nodes
from flux_duet.nodes.condition.time.nodes import PartOfRun, PromptAt
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy.inputs import relative
from flux_duet.tests.comfy.time.runs import LATENT, STEPS, VECS, natively, prompt, sampled, schedule, sigmas

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def test_the_prompt_at_a_step(model):
    for options in ({}, {"sigmas": sigmas(model)}):
        out = schedule("1\n@3 2", "1\n@2 2\n@5 3", **options)
        for step, (clip_now, t5_now) in enumerate([(1, 1), (1, 1), (1, 2), (2, 2), (2, 2), (2, 3)]):
            (now,) = PromptAt.execute(out, str(step), **options)[0]
            (expected,) = prompt(clip_now, t5_now)
            assert torch.equal(now[0], expected[0]) and now[1].keys() == expected[1].keys()
            assert torch.equal(now[1]["pooled_output"], expected[1]["pooled_output"])
    percents = schedule("1\n@40% 2", "1")
    assert torch.equal(PromptAt.execute(percents, "40%")[0][0][1]["pooled_output"], VECS["vec2"].spans[0].tensor)
    assert torch.equal(PromptAt.execute(percents, "39%")[0][0][1]["pooled_output"], VECS["vec1"].spans[0].tensor)
    with pytest.raises(ValueError, match="connect `model`|connect `sigmas`"):
        PromptAt.execute(percents, "3")


def test_times_that_cannot_be_compared_are_reported(model):
    """A sigma range and a step without a schedule to relate them: an error that names what to connect."""
    levels = sigmas(model)
    by_sigma = schedule("1\n@s0.7 2", "1")
    for when in ("3", "40%"):
        with pytest.raises(ValueError, match="connect `sigmas`"):
            PromptAt.execute(by_sigma, when)
    late = PromptAt.execute(by_sigma, str(STEPS - 1), sigmas=levels, model=model)[0]
    assert torch.equal(late[0][1]["pooled_output"], VECS["vec2"].spans[0].tensor)
    by_step = schedule("1\n@3 2", "1")
    with pytest.raises(ValueError, match="connect `sigmas`"):
        PromptAt.execute(by_step, "40%", model=model)


@pytest.mark.parametrize("marks", ["3", "40%", "s0.7", "2..4"])
def test_a_run_s_start_and_end_are_the_same_in_every_unit(marks):
    out = schedule(f"1\n@{marks} 2", "1")
    for when, number in (("0", 1), ("0%", 1), ("s1", 1), ("100%", 2), ("s0", 2)):
        (now,) = PromptAt.execute(out, when)[0]
        assert torch.equal(now[1]["pooled_output"], VECS[f"vec{number}"].spans[0].tensor), when


def test_true_cfg_for_a_part_of_the_run(model):
    """Outside of it the model is evaluated once, and the picture equals one without guidance."""
    negative = PartOfRun.execute(prompt(3, 2), "1", "3")[0]
    rows = []

    def count(apply_model, args):
        rows.append(len(args["cond_or_uncond"]) * args["input"].shape[0])
        return apply_model(args["input"], args["timestep"], **args["c"])

    counting = model.clone()
    counting.set_model_unet_function_wrapper(count)
    out = sampled(counting, prompt(1, 1), negative, cfg=3.0)
    assert sum(rows) == STEPS + 2
    latent = nodes.KSamplerAdvanced().sample(
        model, "enable", 5, STEPS, 1.0, "euler", "simple", prompt(1, 1), prompt(1, 1), LATENT, 0, 1, "enable"
    )[0]
    latent = nodes.KSamplerAdvanced().sample(
        model, "disable", 5, STEPS, 3.0, "euler", "simple", prompt(1, 1), prompt(3, 2), latent, 1, 3, "enable"
    )[0]
    latent = nodes.KSamplerAdvanced().sample(
        model, "disable", 5, STEPS, 1.0, "euler", "simple", prompt(1, 1), prompt(1, 1), latent, 3, STEPS, "disable"
    )[0]
    assert relative(out, latent["samples"]) < 2e-6
    assert torch.equal(natively(ApplyDuet.execute(model)[0], prompt(1, 1), negative, cfg=3.0), out)
    whole = PartOfRun.execute(prompt(3, 2), "0%", "100%")[0]
    plain = natively(model, prompt(1, 1), prompt(3, 2), cfg=3.0)
    assert torch.equal(natively(model, prompt(1, 1), whole, cfg=3.0), plain)


def test_no_prompt_at_all_is_reported(model):
    late = PartOfRun.execute(prompt(1, 1), "3", "100%")[0]
    with pytest.raises(ValueError, match="no prompt is active"):
        sampled(model, late)
