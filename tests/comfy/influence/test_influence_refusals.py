"""Encoder Influence: cleanup, errors, and outputs."""

import json

import comfy.model_management
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom

from flux_duet.nodes.probe.influence.nodes import BOTH, EMPTY, ShowInfluence
from flux_duet.nodes.streams import ClipVec, Span
from flux_duet.tests.comfy.influence.runs import (
    LATENT,
    PAIR,
    SIDE,
    STEPS,
    TXT,
    measured,
    natively,
    prompt,
    sampled,
)
from flux_duet.tests.comfy.inputs import txt

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


# ---- cleanup and errors


def test_after_an_interrupted_run_all_is_as_before(model):
    out, probe = measured(model)
    before = str(out.model_options)
    guider = custom.BasicGuider.execute(out, prompt())[0]
    given = guider.model_options

    def stop(step, *_):
        comfy.model_management.interrupt_current_processing(step == 1)

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        guider.sample(
            torch.randn(1, 16, SIDE, SIDE),
            LATENT["samples"],
            comfy.samplers.sampler_object("euler"),
            custom.BasicScheduler.execute(out, "simple", STEPS, 1.0)[0],
            callback=stop,
            disable_pbar=True,
        )
    comfy.model_management.interrupt_current_processing(False)
    assert str(out.model_options) == before and guider.model_options is given and not probe.runs
    assert len(probe.reading(sampled(out, prompt())).moments) == STEPS


def test_a_latent_of_another_run_is_refused(model):
    out, probe = measured(model)
    sampled(out, prompt())
    with pytest.raises(ValueError, match="does not come from a run"):
        ShowInfluence.execute(probe, LATENT)


def test_a_prompt_without_a_clip_vector_is_refused(model):
    out, probe = measured(model)
    positive = [[TXT.spans[0].tensor, {"guidance": 3.5}]]
    latent = natively(out, positive)
    assert torch.equal(latent["samples"], natively(model, positive)["samples"]), "the picture is complete"
    with pytest.raises(ValueError, match="has no CLIP prompt.*Dual Prompt"):
        probe.reading(latent)


def test_empty_prompts_of_other_encoders_are_refused(model):
    out, probe = measured(model, empty_vec=ClipVec((Span(torch.zeros(1, 32)),)))
    latent = sampled(out, prompt())
    with pytest.raises(ValueError, match="empty CLIP prompt is 32 wide and the sampled one 64"):
        probe.reading(latent)
    with pytest.raises(ValueError, match="`empty_txt` is scheduled, weighted"):
        measured(model, empty_txt=txt(4, 9, bias=torch.zeros(1, 9)))


def test_a_run_that_passes_it_by_is_reported(model):
    """A guider of another pack that evaluates the model in its own way."""
    out, probe = measured(model)

    class Own(comfy.samplers.CFGGuider):
        def predict_noise(self, x, timestep, model_options=None, seed=None):
            return x * 0

    guider = Own(out)
    guider.set_conds(prompt(), prompt())
    samples = guider.sample(
        torch.randn(1, 16, SIDE, SIDE),
        LATENT["samples"],
        comfy.samplers.sampler_object("euler"),
        torch.tensor([1.0, 0.5, 0.0]),
        disable_pbar=True,
    )
    with pytest.raises(ValueError, match="never evaluated the positive prompt.*nothing to measure"):
        probe.reading({"samples": samples})


def test_a_wrapped_model_is_measured_without_its_modulation(tiny):
    """As in other packs: the replacement of Flux has no blocks attribute and calls no wrappers."""
    model = comfy.sd.load_diffusion_model(str(tiny["flux"]))

    class Opaque(torch.nn.Module):
        dtype = torch.float32

        def forward(self, x, timestep, context, y=None, guidance=None, **kwargs):
            return x + 0.1 * context.mean((1, 2))[:, None, None, None] + 0.2 * y.mean(1)[:, None, None, None]

    model.model.diffusion_model = Opaque()
    out, probe = measured(model)
    reading = probe.reading(natively(out, prompt()))
    assert reading.rows == (STEPS, 4 * STEPS) and reading.modulation() is None
    numbers = reading.numbers("whole run", EMPTY)
    assert numbers["D_clip"] > 0 and numbers["interaction"] == pytest.approx(0, abs=1e-6)


def test_a_model_that_is_none_of_flux(tmp_path):
    class Other:
        model = torch.nn.Linear(1, 1)

    with pytest.raises(ValueError, match="got a model of Linear, expected FLUX.1"):
        measured(Other())


# ---- outputs


def test_outputs_fit_the_picture(model):
    out, probe = measured(model, BOTH, blocks="double")
    latent = sampled(out, prompt(), latent=PAIR)
    plot, where, clip_mask, t5_mask, text, table, data = ShowInfluence.execute(
        probe, latent, "first third", torch.rand(2, 8 * SIDE, 8 * SIDE, 3)
    ).result
    assert plot.shape[0] == 1 and where.shape[0] == 2 and plot.shape[-1] == where.shape[-1] == 3
    assert clip_mask.shape == t5_mask.shape == (2, 8 * SIDE, 8 * SIDE)
    assert 0 <= min(float(clip_mask.min()), float(t5_mask.min()))
    assert max(float(clip_mask.max()), float(t5_mask.max())) <= 1
    assert text.endswith("times the evaluations of a plain run.") and len(table.splitlines()) == 1 + 2 * STEPS
    assert json.loads(data)["sentence"] == text
    with pytest.raises(ValueError, match="1 pictures for a LATENT of 2"):
        ShowInfluence.execute(probe, latent, picture=torch.rand(1, 64, 64, 3))
