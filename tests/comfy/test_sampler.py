"""MMDiT Sampler equals KSampler, KSampler (Advanced) and SamplerCustomAdvanced on a small FLUX.1, bit for bit."""

import comfy.model_management
import comfy.model_sampling
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom

import nodes
from flux_duet.nano.layouts import Shape
from flux_duet.nodes.sample.choices import OFFICIAL, SCHEDULERS
from flux_duet.nodes.sample.nodes import FluxSigmas, MMDiTSampler
from flux_duet.nodes.sample.sampling import SamplingPlan, official_sigmas
from flux_duet.nodes.sample.schedule import denoised, flux_sigmas, image_tokens, official_mu
from flux_duet.tests.comfy.extras import control_net
from flux_duet.tests.comfy.inputs import randn

pytestmark = pytest.mark.usefixtures("as_executed")

SEED, STEPS = 11, 3
EULER = {"sampler": "euler", "scheduler": "simple"}


def conditioning(seed: int, length: int = 20, vec: int = 64, txt: int = 64, **extras) -> list:
    return [[randn(seed, 1, length, txt), {"pooled_output": randn(seed + 1, 1, vec), "guidance": 3.5, **extras}]]


POSITIVE, NEGATIVE = conditioning(1), conditioning(5, length=33)
EMPTY = {"samples": torch.zeros(1, 16, 8, 8)}
PICTURE = {"samples": randn(3, 1, 16, 8, 8)}
BATCH = {"samples": randn(4, 2, 16, 8, 8), "batch_index": [0, 3]}
MASKED = {**PICTURE, "noise_mask": (randn(6, 1, 1, 64, 64) > 0).float()}
ODD = {"samples": torch.zeros(1, 16, 7, 9)}


def ours(model, latent, positive=POSITIVE, negative=None, **plan) -> dict:
    plan = {"seed": SEED, "steps": STEPS, "denoise": 1.0, **EULER, **plan}
    return MMDiTSampler.execute(model, positive, latent, negative, **plan)[0]


def theirs(model, latent, positive=POSITIVE, negative=NEGATIVE, cfg=1.0, denoise=1.0, steps=STEPS, **names) -> dict:
    names = {**EULER, **names}
    return nodes.KSampler().sample(
        model, SEED, steps, cfg, names["sampler"], names["scheduler"], positive, negative, latent, denoise
    )[0]


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    assert torch.equal(one["samples"], other["samples"])
    assert one["samples"].isfinite().all()
    assert all(one[key] is other[key] for key in one if key != "samples")


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "uni_pc"])
@pytest.mark.parametrize("scheduler", ["simple", "beta", "karras"])
def test_samplers_and_schedulers(model, sampler, scheduler):
    names = {"sampler": sampler, "scheduler": scheduler}
    assert_same(ours(model, EMPTY, **names), theirs(model, EMPTY, **names))


def test_stochastic_sampler(model):
    """It adds noise at every step, from the same seed."""
    assert_same(ours(model, EMPTY, sampler="euler_ancestral"), theirs(model, EMPTY, sampler="euler_ancestral"))


LATENTS = {
    "picture, denoise 0.6": (PICTURE, 0.6),
    "picture, denoise 0": (PICTURE, 0.0),
    "batch of two": (BATCH, 1.0),
    "masked, denoise 0.6": (MASKED, 0.6),
    "odd size": (ODD, 1.0),
}


@pytest.mark.parametrize(("latent", "denoise"), LATENTS.values(), ids=LATENTS)
def test_latents(model, latent, denoise):
    assert_same(ours(model, latent, denoise=denoise), theirs(model, latent, denoise=denoise))


def test_empty_latent_of_another_family(model):
    """Four channels at an eighth, as Empty Latent Image makes it; this model wants sixteen."""
    latent = nodes.EmptyLatentImage().generate(64, 48)[0]
    result = ours(model, latent)
    assert result["samples"].shape == (1, 16, 6, 8)
    assert_same(result, theirs(model, latent))


def test_true_cfg_with_a_longer_negative(model):
    guided = ours(model, EMPTY, negative=NEGATIVE, cfg=2.0)
    assert_same(guided, theirs(model, EMPTY, cfg=2.0))
    assert not torch.equal(guided["samples"], ours(model, EMPTY)["samples"])
    assert_same(ours(model, EMPTY, negative=NEGATIVE), ours(model, EMPTY))  # at cfg 1 the negative is not evaluated


def test_chain_with_leftover_noise(model):
    advanced = nodes.KSamplerAdvanced().sample
    names = ("euler", "simple", POSITIVE, NEGATIVE)
    first = ours(model, EMPTY, end_step=2, leftover_noise=True)
    assert_same(first, advanced(model, "enable", SEED, STEPS, 1.0, *names, EMPTY, 0, 2, "enable")[0])
    second = ours(model, first, start_step=2, add_noise=False)
    assert_same(second, advanced(model, "disable", SEED, STEPS, 1.0, *names, first, 2, 10000, "disable")[0])
    whole = ours(model, EMPTY)["samples"]
    torch.testing.assert_close(second["samples"], whole)  # the chain goes through the latent's scale once more
    cut = ours(model, EMPTY, end_step=2)
    assert_same(cut, advanced(model, "enable", SEED, STEPS, 1.0, *names, EMPTY, 0, 2, "disable")[0])
    assert not torch.equal(cut["samples"], first["samples"])


def test_kontext_reference(model):
    positive = conditioning(1, reference_latents=[randn(8, 1, 16, 6, 10)])
    result = ours(model, EMPTY, positive)
    assert_same(result, theirs(model, EMPTY, positive))
    assert not torch.equal(result["samples"], ours(model, EMPTY)["samples"])


def random_lora() -> dict[str, torch.Tensor]:
    layer = "diffusion_model.double_blocks.0.img_attn.qkv"
    return {f"{layer}.lora_up.weight": randn(20, 384, 2), f"{layer}.lora_down.weight": randn(21, 2, 128)}


def test_lora(model):
    before = ours(model, EMPTY)
    patched = comfy.sd.load_lora_for_models(model, None, random_lora(), 0.3, 0.0)[0]
    result = ours(patched, EMPTY)
    assert_same(result, theirs(patched, EMPTY))
    assert not torch.equal(result["samples"], before["samples"])
    assert_same(ours(model, EMPTY), before)


def test_control_net(model):
    applied = nodes.ControlNetApplyAdvanced().apply_controlnet(
        POSITIVE, NEGATIVE, control_net(model), randn(9, 1, 64, 64, 3), 0.8, 0.0, 1.0
    )
    result = ours(model, EMPTY, *applied, cfg=2.0)
    assert_same(result, theirs(model, EMPTY, *applied, cfg=2.0))
    assert not torch.equal(result["samples"], ours(model, EMPTY, POSITIVE, NEGATIVE, cfg=2.0)["samples"])


@pytest.fixture(scope="module")
def schnell(save_models):
    return comfy.sd.load_diffusion_model(str(save_models(Shape(guidance=False))["flux"]))


@pytest.mark.parametrize("kind", ["dev", "schnell"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m"])
@pytest.mark.parametrize(("latent", "denoise"), [(EMPTY, 1.0), (PICTURE, 0.6), (ODD, 1.0)])
def test_official_schedule_is_that_of_flux_sigmas(request, kind, sampler, latent, denoise):
    """Our node, and SamplerCustomAdvanced with our sigmas; the model decides between dev and schnell."""
    model = request.getfixturevalue("model" if kind == "dev" else "schnell")
    sigmas = FluxSigmas.execute(STEPS, latent, kind, denoise)[0]
    noise, guider = custom.RandomNoise.execute(SEED)[0], custom.BasicGuider.execute(model, POSITIVE)[0]
    select = custom.KSamplerSelect.execute(sampler)[0]
    native = custom.SamplerCustomAdvanced.execute(noise, guider, select, sigmas, latent)[0]
    assert_same(ours(model, latent, sampler=sampler, scheduler=OFFICIAL, denoise=denoise), native)


def test_flux_sigmas_modes():
    sigmas = {mode: FluxSigmas.execute(4, ODD, mode, 1.0, 0.7)[0] for mode in ("dev", "schnell", "fixed")}
    strengths = {"dev": official_mu(image_tokens(7, 9)), "schnell": None, "fixed": 0.7}
    assert all(torch.equal(sigmas[mode], flux_sigmas(4, mu)) for mode, mu in strengths.items())


@pytest.mark.parametrize("sampler", ["euler", "uni_pc", "dpm_2"])
@pytest.mark.parametrize("denoise", [1.0, 0.99995, 0.61, 0.3, 0.07, 0.0])
def test_denoise_counts_steps_as_ksampler_does(monkeypatch, model, sampler, denoise):
    """KSampler.set_steps, once with its own schedule and once with the official one instead."""

    def native(steps, denoise=None):
        return comfy.samplers.KSampler(model, steps, model.load_device, sampler, "simple", denoise).sigmas

    assert torch.equal(denoised(native, 7, denoise), native(7, denoise))
    mu = official_mu(image_tokens(8, 8))
    monkeypatch.setattr(comfy.samplers, "calculate_sigmas", lambda sampling, name, steps: flux_sigmas(steps, mu))
    plan = SamplingPlan(SEED, 7, sampler, OFFICIAL, denoise)
    assert torch.equal(official_sigmas(model, EMPTY["samples"], plan), native(7, denoise))


def test_every_native_name_is_offered():
    offered = {item.id: item.options for item in MMDiTSampler.define_schema().inputs if hasattr(item, "options")}
    assert offered["sampler"] == comfy.samplers.KSampler.SAMPLERS
    assert offered["scheduler"] == SCHEDULERS == [*comfy.samplers.KSampler.SCHEDULERS, OFFICIAL]


def test_inputs_stay_as_they_are(model):
    latent = {**MASKED, "batch_index": [0], "downscale_ratio_spacial": 8}
    positive, negative = conditioning(1, mask_strength=1.0), conditioning(5)
    before = [dict(latent), [list(entry) for entry in positive], [dict(entry[1]) for entry in positive + negative]]
    values = [latent["samples"], latent["noise_mask"], positive[0][0], positive[0][1]["pooled_output"]]
    copies = [value.clone() for value in values]
    for scheduler in ("simple", OFFICIAL):
        result = ours(model, latent, positive, negative, cfg=2.0, denoise=0.6, scheduler=scheduler)
    after = [dict(latent), [list(entry) for entry in positive], [dict(entry[1]) for entry in positive + negative]]
    assert before[0].keys() == after[0].keys() and all(after[0][key] is before[0][key] for key in before[0])
    assert [entry.keys() for entry in before[2]] == [entry.keys() for entry in after[2]]
    assert all(new[0] is old[0] and new[1] is old[1] for new, old in zip(after[1], before[1], strict=True))
    assert all(torch.equal(value, copy) for value, copy in zip(values, copies, strict=True))
    assert "downscale_ratio_spacial" not in result and result["samples"] is not latent["samples"]


@pytest.mark.parametrize("lora", [False, True], ids=["bare", "with LoRA"])
def test_interruption_leaves_the_model_reusable(model, lora):
    before = ours(model, EMPTY)
    run = comfy.sd.load_lora_for_models(model, None, random_lora(), 0.3, 0.0)[0] if lora else model.clone()
    calls = []

    def stop_at_the_second_step(apply_model, arguments):
        calls.append(arguments)
        if len(calls) == 2:
            comfy.model_management.interrupt_current_processing()
        return apply_model(arguments["input"], arguments["timestep"], **arguments["c"])

    run.set_model_unet_function_wrapper(stop_at_the_second_step)
    options, patches = set(model.model_options), len(model.patches)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        ours(run, EMPTY)
    assert len(calls) == 2 and not comfy.model_management.processing_interrupted()
    assert (set(model.model_options), len(model.patches)) == (options, patches)
    assert_same(ours(model, EMPTY), before)


def test_cfg_without_negative_is_refused(model):
    with pytest.raises(ValueError, match=r"cfg is 3\.0 and `negative` is not connected"):
        ours(model, EMPTY, cfg=3.0)


@pytest.mark.parametrize("vec, txt", [(768, 64), (64, 4096), (768, 4096)])
def test_other_widths_are_refused(model, vec, txt):
    wrong, words = conditioning(1, vec=vec, txt=txt), f"a CLIP vector of width {vec} and T5 tokens of width {txt}.*64"
    with pytest.raises(ValueError, match=f"`positive` has {words}"):
        ours(model, EMPTY, wrong)
    with pytest.raises(ValueError, match=f"`negative` has {words}"):
        ours(model, EMPTY, negative=wrong, cfg=2.0)


def test_official_schedule_is_for_flow_models(model):
    other = model.clone()
    other.add_object_patch("model_sampling", comfy.model_sampling.ModelSamplingDiscrete())
    with pytest.raises(ValueError, match=r"sigma starts at 14\.6.*Choose one of ComfyUI's schedulers"):
        ours(other, EMPTY, scheduler=OFFICIAL)
