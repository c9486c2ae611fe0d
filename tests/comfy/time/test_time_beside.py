"""Schedules with other samplers and caches, and refused inputs."""

import comfy.model_management
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom
from comfy_extras import nodes_easycache

from flux_duet.nodes.condition.nodes import DualPrompt, SplitConditioning
from flux_duet.nodes.condition.time.nodes import Schedule
from flux_duet.nodes.sample.nodes import ApplyDuet, MMDiTSampler
from flux_duet.tests.comfy.inputs import relative, vec
from flux_duet.tests.comfy.time.runs import LATENT, STEPS, TXTS, natively, prompt, sampled, schedule, sigmas

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


# ---- other samplers and caches


def test_two_samplers_that_share_a_run_count_steps_together(model):
    out = schedule("1\n@3 2", "1\n@4 2")
    first = MMDiTSampler.execute(
        model, out, LATENT, seed=5, steps=STEPS, sampler="euler", scheduler="simple", end_step=2, leftover_noise=True
    )[0]
    both = MMDiTSampler.execute(
        model, out, first, seed=5, steps=STEPS, sampler="euler", scheduler="simple", start_step=2, add_noise=False
    )[0]["samples"]
    assert relative(both, sampled(model, out)) < 2e-6


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m", "uni_pc", "euler_ancestral"])
def test_other_samplers(model, sampler):
    out = sampled(model, schedule("1\n@3 2", "1\n@2..5 2"), sampler=sampler)
    assert out.isfinite().all() and relative(out, sampled(model, prompt(1, 1), sampler=sampler)) > 1e-4


def test_under_sampler_custom_advanced(model):
    out, ready = schedule("1\n@3 2", "1\n@2..5 2"), ApplyDuet.execute(model)[0]
    noise, sampler = custom.RandomNoise.execute(5)[0], custom.KSamplerSelect.execute("euler")[0]
    for guider in (custom.BasicGuider.execute(ready, out)[0], custom.CFGGuider.execute(ready, out, out, 1.0)[0]):
        got = custom.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas(model), LATENT)[0]["samples"]
        assert torch.equal(got, sampled(model, out))


@pytest.mark.parametrize("order", ["easycache first", "apply first"])
def test_with_easycache(model, order):
    """A forward that EasyCache skips is not reported as a control without effect."""
    out = schedule("1\n@3 2", "1\n@2..5 2")

    def cached(model):
        return nodes_easycache.EasyCacheNode.execute(model, 100.0, 0.0, 1.0, False)[0]

    ready = ApplyDuet.execute(cached(model))[0] if order == "easycache first" else cached(ApplyDuet.execute(model)[0])
    got = natively(ready, out)
    assert got.isfinite().all() and relative(got, sampled(model, out)) > 1e-6, "some steps were left out"


def test_streams_of_a_schedule_are_streams(model):
    out = schedule("1\n@3 2", "1\n@2..5 2")
    again = DualPrompt.execute(*SplitConditioning.execute(out).result)[0]
    assert torch.equal(sampled(model, again), sampled(model, out))


def test_the_models_options_are_as_before(model, monkeypatch):
    """After a run, an interrupted and a failed one."""

    def state():
        return repr(model.model_options), {k: dict(v) for k, v in model.wrappers.items()}, dict(model.object_patches)

    before = state()
    out = schedule("1\n@3 2", "1\n@2..5 2")
    sampled(model, out)
    calls = []

    def stop(x, t, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise comfy.model_management.InterruptProcessingException
        return forward(x, t, *args, **kwargs)

    flux = model.model.diffusion_model
    forward = flux._forward
    monkeypatch.setattr(flux, "_forward", stop)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sampled(model, out)
    monkeypatch.undo()
    assert state() == before and torch.equal(natively(model, prompt(1, 1)), sampled(model, prompt(1, 1)))


# ---- refused inputs


@pytest.mark.parametrize(
    "clip, words",
    [
        ("3", "says '3', expected the number of a connected prompt: 1, 2"),
        ("a cat", "expected the number"),
        ("1", "prompt 2 is connected, but its timeline never names it"),
    ],
)
def test_numbers_that_name_nothing_are_reported(clip, words):
    with pytest.raises(ValueError, match=words):
        Schedule.execute({"vec1": vec(1), "vec2": vec(2)}, {"txt1": TXTS["txt1"]}, clip, "1")


def test_what_is_scheduled_already_is_reported():
    vecs = SplitConditioning.execute(schedule("1\n@40% 2", "1"))[0]
    with pytest.raises(ValueError, match="has 2 encodings, each for a part of the run"):
        Schedule.execute({"vec1": vecs, "vec2": vec(2)}, {"txt1": TXTS["txt1"]}, "1\n@3 2", "1")
