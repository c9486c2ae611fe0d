"""Regions, routes and negatives with native samplers, LoRAs, caches and batches."""

import comfy.sd
import pytest
import torch
from comfy.ldm.flux.model import Flux
from comfy_extras.nodes_easycache import EasyCacheNode as easycache

from flux_duet.nodes.condition.blend.nodes import ClipNegative
from flux_duet.nodes.condition.nodes import DualPrompt, SplitConditioning
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy.inputs import randn, relative, txt, vec
from flux_duet.tests.comfy.place.runs import CLIP_A, CLIP_B, LATENT, SIDE, A, B, C, half, natively, prompt, sampled

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def controlled() -> dict[str, list]:
    region = Region.execute(A, B, half("left"))[0]
    return {
        "region": prompt(region),
        "route": Route.execute(prompt(A), prompt(B, CLIP_B), "1, 3", "2-3")[0],
        "clip negative": prompt(A, ClipNegative.execute(CLIP_A, CLIP_B, 2.0, blocks="1-")[0]),
        "nag": prompt(NegativeTxt.execute(A, B)[0]),
        "all": Route.execute(prompt(NegativeTxt.execute(region, C)[0]), prompt(B, CLIP_B), "1, 3", "2-3")[0],
    }


@pytest.mark.parametrize("name", controlled())
def test_native_samplers_behind_apply_duet(model, name):
    positive = controlled()[name]
    ready = ApplyDuet.execute(model)[0]
    assert torch.equal(natively(ready, positive), sampled(model, positive))
    with pytest.raises(ValueError, match="Apply Duet.*MMDiT Sampler"):
        natively(model, positive)
    assert torch.equal(natively(model, prompt()), natively(ready, prompt())), "and nothing is left behind"


def lora() -> dict[str, torch.Tensor]:
    return {
        f"diffusion_model.{layer}.{side}.weight": randn(seed, *shape)
        for layer, width in (("single_blocks.0.linear2", 640), ("double_blocks.1.img_attn.proj", 128))
        for seed, side, shape in ((1, "lora_up", (128, 2)), (2, "lora_down", (2, width)))
    }


@pytest.mark.parametrize("name", controlled())
def test_with_a_lora_on_either_side(model, name):
    positive, ready = controlled()[name], ApplyDuet.execute(model)[0]
    before = comfy.sd.load_lora_for_models(model, None, lora(), 1.0, 0.0)[0]
    after = comfy.sd.load_lora_for_models(ready, None, lora(), 1.0, 0.0)[0]
    out = natively(after, positive)
    assert torch.equal(natively(ApplyDuet.execute(before)[0], positive), out)
    assert relative(out, natively(ready, positive)) > 1e-3, "the LoRA counts"
    assert relative(out, natively(before, prompt())) > 1e-5, "and so does the control"


@pytest.mark.parametrize("name", controlled())
def test_with_easycache(model, name):
    """A forward that EasyCache skips is not reported as a control without effect."""
    positive = controlled()[name]
    for ready in (
        ApplyDuet.execute(easycache.execute(model, 100.0, 0.0, 1.0, False)[0])[0],
        easycache.execute(ApplyDuet.execute(model)[0], 100.0, 0.0, 1.0, False)[0],
    ):
        out = natively(ready, positive, steps=6)
        assert out.isfinite().all() and relative(out, sampled(model, positive, steps=6)) > 1e-6, "some were left out"


@pytest.mark.parametrize("name", controlled())
def test_a_model_that_shows_no_hooks_is_reported(model, name, monkeypatch):
    """As in other packs: blocks whose forwards are replaced."""
    flux = model.model.diffusion_model
    for block in (*flux.double_blocks, *flux.single_blocks):
        monkeypatch.setattr(block, "forward", lambda *args, img=None, txt=None, **_: args[0] if args else (img, txt))
    monkeypatch.setattr(flux, "forward_orig", lambda img, img_ids, txt, *args, **kwargs: torch.zeros_like(img))
    with pytest.raises(ValueError, match="had no effect.*Another node has replaced them"):
        sampled(model, controlled()[name])


@pytest.mark.parametrize("name", controlled())
def test_split_and_joined_again_they_are_the_same(model, name):
    positive = controlled()[name]
    again = DualPrompt.execute(*SplitConditioning.execute(positive).result)[0]
    assert torch.equal(sampled(model, again), sampled(model, positive))


@pytest.mark.parametrize("name", controlled())
def test_a_prompts_controls_act_on_it_alone(model, name):
    """With a plain negative, and as a negative, in a batch of two; each picture equals the one sampled alone."""
    positive, other = controlled()[name], prompt(txt(7, 11), vec(8))
    latent = {"samples": torch.zeros(2, 16, SIDE, SIDE)}
    alone = [sampled(model, each, steps=1) for each in (positive, other)]
    for pair, order in (((positive, other), (0, 1)), ((other, positive), (1, 0))):
        mixed = sampled(model, *pair, cfg=3.0, steps=1)
        expected = alone[order[1]] + 3.0 * (alone[order[0]] - alone[order[1]])
        assert relative(mixed, expected) < 2e-5
    batch = sampled(model, positive, latent=latent, steps=1)
    assert relative(sampled(model, positive, latent=dict(LATENT, batch_index=[0]), steps=1), alone[0]) < 5e-6
    twice = sampled(model, positive, positive, latent=latent, cfg=2.0, steps=1)
    assert relative(twice, batch) < 2e-5


class ModifiedFlux(Flux):
    """As in Fluxtapoz: the class of the shared model is replaced by one with its own forward."""

    def forward(self, x, timestep, context, y=None, guidance=None, control=None, transformer_options=None, **kwargs):
        return self._forward(
            x, timestep, context, y, guidance, control=control, transformer_options=transformer_options, **kwargs
        )


@pytest.mark.parametrize("name", controlled())
def test_a_class_swapped_in_place_is_told_at_the_first_evaluation(model, name, monkeypatch):
    monkeypatch.setattr(model.model.diffusion_model, "__class__", ModifiedFlux)
    calls, forward = [], Flux._forward

    def counted(self, *args, **kwargs):
        calls.append(1)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(Flux, "_forward", counted)
    for run in (sampled, lambda model, positive, steps: natively(ApplyDuet.execute(model)[0], positive, steps=steps)):
        calls.clear()
        with pytest.raises(ValueError, match="were not carried out.*ModifiedFlux.*Fluxtapoz.*restart ComfyUI"):
            run(model, controlled()[name], steps=4)
        assert len(calls) == 1
    assert torch.equal(sampled(model, prompt()), natively(model, prompt())), "prompts without controls are unchanged"
