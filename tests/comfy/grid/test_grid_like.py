"""Prompt Grid's `like`: the extras of a CONDITIONING."""

import comfy.model_management
import comfy.sd
import comfy.utils
import pytest
import torch
from comfy_extras.nodes_ip2p import InstructPixToPixConditioning

import nodes
from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.encode.clip_prompt import encode_clip_prompt
from flux_duet.nodes.encode.encoding import encode_t5
from flux_duet.nodes.family import needs_picture
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.tests.comfy import extras
from flux_duet.tests.comfy.grid.models import CLIPS, LATENT, T5S

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def fill_like(positive: list, vae, model) -> list:
    """InpaintModelConditioning's positive: a picture and a mask."""
    pixels, mask = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1)), torch.zeros(1, 64, 64)
    mask[:, 16:48, 16:48] = 1
    return nodes.InpaintModelConditioning().encode(positive, positive, pixels, vae, mask, False)[0]


def canny_like(positive: list, vae, model) -> list:
    pixels = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(2))
    return InstructPixToPixConditioning.execute(positive, positive, pixels, vae)[0]


LIKES = {
    "Fill": (96, fill_like), "Canny": (32, canny_like),
    "Kontext": (16, lambda positive, vae, model: extras.referred(positive)),
    "ControlNet": (16, lambda positive, vae, model: extras.controlled(positive, extras.control_net(model))),
    "hooks": (16, lambda positive, vae, model: extras.hooked(positive)),
}  # fmt: skip


@pytest.mark.parametrize("layout", LIKES)
def test_a_cell_is_the_users_run_with_its_picture(tiny, singles, vae, draw, layout):
    """Equal bit for bit to MMDiT Sampler with the same CONDITIONING; the picture once was ignored."""
    channels, like = LIKES[layout]
    model = layouts_of(tiny, channels)
    vec, txt = encode_clip_prompt(singles[0], "at night", "first")[0], encode_t5(singles[1], "a star")[0]
    other = join(encode_clip_prompt(singles[0], "?", "first")[0], encode_t5(singles[1], "another")[0], 1.0)
    found = draw(model, clips=["at night"], t5s=["a star"], seeds=1, like=like(other, vae, model))[1]["samples"]

    def run(positive):
        return MMDiTSampler.execute(
            model, positive, LATENT, None, seed=7, steps=2, sampler="euler", scheduler="simple", denoise=1.0
        )[0]["samples"]

    assert torch.equal(found, run(like(join(vec, txt, 3.5), vae, model)))
    assert ((found - run(join(vec, txt, 3.5))).norm() / found.norm()) > 1e-3, "the picture has an effect"


@pytest.mark.parametrize("channels", [96, 32])
def test_a_model_that_needs_a_picture_is_refused_without_one(tiny, vae, draw, pictures, channels):
    model, plain = layouts_of(tiny, channels), [[torch.zeros(1, 9, 64), {"pooled_output": torch.zeros(1, 64)}]]
    for like in (None, plain):
        with pytest.raises(ValueError, match="Prompt Grid: this model reads a picture in addition.*to `like`"):
            draw(model, like=like)
    assert not pictures.count


def test_a_control_lora_makes_a_model_that_needs_one(model):
    """Black Forest Labs' Canny and Depth LoRAs widen img_in when the weights are loaded, not before."""
    widened = model.clone()
    lora = {"diffusion_model.img_in.lora_up.weight": torch.zeros(128, 2),
            "diffusion_model.img_in.lora_down.weight": torch.zeros(2, 128),
            "diffusion_model.img_in.reshape_weight": torch.tensor([128, 128])}  # fmt: skip
    widened = comfy.sd.load_lora_for_models(widened, None, lora, 1.0, 0.0)[0]
    assert needs_picture(widened) and not needs_picture(model)


def test_several_prompts_in_like_are_reported(model, draw):
    one = [torch.zeros(1, 9, 64), {"pooled_output": torch.zeros(1, 64)}]
    with pytest.raises(ValueError, match="Prompt Grid: `like` holds 2 prompts"):
        draw(model, like=[one, one])
    with pytest.raises(ValueError, match="Prompt Grid: `like` is limited to a part of the run"):
        draw(model, like=nodes.ConditioningSetTimestepRange().set_range([one], 0.0, 0.5)[0])
    draw(model, like=nodes.ConditioningSetTimestepRange().set_range([one], 0.0, 1.0)[0], clips=CLIPS[:1], steps=1)


def test_extras_are_part_of_a_cells_key(model, draw, pictures, caplog):
    small = {"clips": CLIPS[:1], "t5s": T5S[:1], "seeds": 1, "steps": 1}
    prompt = [[torch.zeros(1, 9, 64), {"pooled_output": torch.zeros(1, 64)}]]
    like = extras.referred(prompt)
    for given, count in ((None, 1), (like, 2), (extras.referred(prompt), 2), (None, 2), (extras.referred(like), 3)):
        draw(model, **small, like=given)
        assert pictures.count == count
    assert "cells are not kept" not in caplog.text
    draw(model, **small, like=nodes.node_helpers.conditioning_set_values(prompt, {"something": object()}))
    draw(model, **small, like=nodes.node_helpers.conditioning_set_values(prompt, {"something": object()}))
    assert pictures.count == 5 and "cells are not kept" in caplog.text


def layouts_of(tiny, channels: int):
    """The tiny FLUX.1 with `channels` input channels: 16 as dev, 32 as Canny and Depth, 96 as Fill."""
    weights = comfy.utils.load_torch_file(str(tiny["flux"]))
    more = torch.randn(128, 4 * (channels - 16), generator=torch.Generator().manual_seed(4)) / (4 * channels) ** 0.5
    weights["img_in.weight"] = torch.cat([weights["img_in.weight"], more], 1)
    return comfy.sd.load_diffusion_model_state_dict(weights)
