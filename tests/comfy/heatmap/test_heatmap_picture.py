"""Token Heatmap leaves the picture unchanged bit for bit, and leaves nothing behind."""

import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom

import nodes
from flux_duet.nodes.condition.place.nodes import Region
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.tests.comfy.heatmap.runs import (
    LATENT,
    STEPS,
    prompt,
    sampled,
    watched,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


@pytest.mark.parametrize("measure", ["mass", "flow", "output"])
def test_the_picture_is_the_same_to_the_last_bit(model, streams, backend, measure):
    positive = prompt(streams, "weighted")
    region = prompt(streams, Region.execute(streams["txt"], streams["long"], torch.ones(1, 4, 4).tril())[0])
    for each in (prompt(streams), positive, region):
        plain = sampled(model, each)["samples"]
        ready, _ = Heatmap.execute(model, streams["txt"], "red", measure).result
        assert torch.equal(sampled(ready, each)["samples"], plain)
    native = [
        nodes.KSampler().sample(
            each, 5, STEPS, 3.0, "heun", "simple", prompt(streams), prompt(streams, "long"), LATENT, 1.0
        )[0]["samples"]
        for each in (model, ready)
    ]
    assert torch.equal(*native)


def test_under_sampler_custom_advanced(model, streams):
    ready, probe = Heatmap.execute(model, streams["txt"], "red").result
    noise, sampler = custom.RandomNoise.execute(5)[0], custom.KSamplerSelect.execute("euler")[0]
    sigmas = custom.BasicScheduler.execute(ready, "simple", STEPS, 1.0)[0]
    guider = custom.BasicGuider.execute(ready, prompt(streams))[0]
    out = custom.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, LATENT)[0]
    expected, _ = watched(model, streams["txt"], prompt(streams), "red")
    assert torch.equal(probe.reading(out).maps, expected.maps)


def test_nothing_stays_patched_and_a_stopped_run_leaves_no_reading(model, streams, monkeypatch):
    ready, probe = Heatmap.execute(model, streams["txt"], "red", "flow").result
    before = repr(ready.model_options)
    sampled(ready, prompt(streams))
    assert repr(ready.model_options) == before and len(probe.runs) == 1
    flux, calls = ready.model.diffusion_model, []
    forward = flux._forward

    def stop(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise comfy.model_management.InterruptProcessingException
        return forward(*args, **kwargs)

    monkeypatch.setattr(flux, "_forward", stop)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sampled(ready, prompt(streams))
    monkeypatch.undo()
    assert repr(ready.model_options) == before and len(probe.runs) == 1
    assert torch.equal(sampled(model, prompt(streams))["samples"], sampled(ready, prompt(streams))["samples"])


def test_a_latent_of_another_run_is_reported(model, streams):
    ready, probe = Heatmap.execute(model, streams["txt"], "red").result
    latent = sampled(ready, prompt(streams))
    other = sampled(model, prompt(streams, "long"))
    assert probe.reading(latent).words == ("red",)
    with pytest.raises(ValueError, match="does not come from a run that this probe has seen .1 so far"):
        ShowHeatmap.execute(probe, other)


def test_a_model_that_shows_no_attention_is_reported(model, streams, monkeypatch):
    ready, probe = Heatmap.execute(model, streams["txt"], "red").result
    monkeypatch.setattr(model.model.diffusion_model, "forward_orig", lambda img, *args, **kwargs: torch.zeros_like(img))
    latent = sampled(ready, prompt(streams))
    assert torch.equal(latent["samples"], sampled(model, prompt(streams))["samples"]), "the picture is complete"
    with pytest.raises(ValueError, match="attention was never seen.*wrapped models"):
        ShowHeatmap.execute(probe, latent)
