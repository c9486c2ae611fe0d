"""Prompt Grid in the real model: N + M encodes, MMDiT Sampler's pictures, and cells that survive an interruption."""

import json
import os
import time
from dataclasses import replace

import comfy.model_management
import comfy.sd
import comfy.utils
import folder_paths
import pytest
import torch
from comfy_extras import nodes_model_advanced
from comfy_extras.nodes_ip2p import InstructPixToPixConditioning

import nodes
from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.condition.extras import with_extras
from flux_duet.nodes.encode.clip_prompt import encode_clip_prompt
from flux_duet.nodes.encode.encoding import encode_t5
from flux_duet.nodes.family import needs_picture
from flux_duet.nodes.probe.grid import cells, identity
from flux_duet.nodes.probe.grid import nodes as grid_nodes
from flux_duet.nodes.probe.grid.nodes import MEAN, PromptGrid
from flux_duet.nodes.sample.nodes import ApplyDuet, MMDiTSampler
from flux_duet.nodes.sample.sampling import SamplingPlan
from flux_duet.tests.comfy import extras

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

LATENT = {"samples": torch.zeros(1, 16, 8, 8)}
CLIPS, T5S = ("at night", "on pink paper"), ("a star", "a red (heart:1.4)", "")


@pytest.fixture
def model(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


@pytest.fixture(scope="module")
def vae(tiny):
    return comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(tiny["ae"])))


@pytest.fixture
def draw(singles, vae):
    """`draw(model, **options)`: a grid of two CLIP prompts, three T5 prompts and two seeds."""

    def run(model, clips=CLIPS, t5s=T5S, seed=7, seeds=2, steps=2, latent=LATENT, guidance=3.5, **options):
        def lines(prompts):
            return "\n".join(prompt or '""' for prompt in prompts)

        return PromptGrid.execute(
            model,
            *singles,
            vae,
            lines(clips),
            lines(t5s),
            latent,
            seed,
            seeds,
            steps,
            "euler",
            "simple",
            guidance,
            **options,
        ).result

    return run


@pytest.fixture
def pictures(monkeypatch):
    """How many pictures are sampled; a number in `stop` interrupts while that one is."""
    seen = type("Seen", (), {"count": 0, "stop": None})()
    sample = cells.sample

    def counted(*args):
        seen.count += 1
        if seen.count == seen.stop:
            comfy.model_management.interrupt_current_processing()
        return sample(*args)

    monkeypatch.setattr(cells, "sample", counted)
    return seen


def test_cells_are_the_samplers_in_the_order_that_is_told(model, singles, draw):
    sheet, latents, variance, told, _ = draw(model)
    told = json.loads(told)
    places = [(seed, clip, t5) for seed in told["seeds"] for clip in told["clip"] for t5 in told["t5"]]
    assert len(places) == len(latents["samples"]) == 12 and told["order"] == "seed, CLIP prompt, T5 prompt"
    for number in (0, 1, 4, 11):
        seed, clip, t5 = places[number]
        vec, txt = encode_clip_prompt(singles[0], clip, "first")[0], encode_t5(singles[1], t5)[0]
        expected = MMDiTSampler.execute(
            model,
            join(vec, txt, 3.5),
            LATENT,
            None,
            seed=seed,
            steps=2,
            sampler="euler",
            scheduler="simple",
            denoise=1.0,
        )[0]["samples"]
        assert torch.equal(latents["samples"][number : number + 1], expected)
    assert sheet.shape[0] == 2 and sheet.shape[-1] == variance.shape[-1] == 3
    assert told["seeds"] == [7, 8] and told["latents"]["shares"]["both"] is not None
    assert sum(told["pixels"]["shares"].values()) == pytest.approx(1)


def test_every_prompt_is_encoded_once(model, draw, monkeypatch):
    encoded = []
    for name in ("encode_clip_prompt", "encode_t5"):
        real = getattr(grid_nodes, name)
        monkeypatch.setattr(grid_nodes, name, lambda *args, real=real: encoded.append(args[1]) or real(*args))
    assert len(draw(model, steps=1)[1]["samples"]) == 12
    assert encoded == [*CLIPS, *T5S]


def test_one_sheet_for_all_seeds_and_weights_in_the_attention(model, draw):
    sheet, latents, _, _, _ = draw(model, sheet=MEAN, weights="attention", length="exact", steps=1)
    assert sheet.shape[0] == 1 and not torch.equal(latents["samples"], draw(model, steps=1)[1]["samples"])


# ---- taken up again


def test_an_interrupted_grid_goes_on_where_it_stopped(model, tiny, draw, pictures):
    pictures.stop = 6
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        draw(model)
    assert pictures.count == 6 and cells.cells().size()[0] == 5
    pictures.stop = None
    again = comfy.sd.load_diffusion_model(str(tiny["flux"]))  # as after a restart
    _, latents, _, told, _ = draw(again)
    assert pictures.count == 6 + 12 - 5 and json.loads(told)["cells_from_before"] == 5
    anew = draw(again, resume=False)
    assert pictures.count == 13 + 12 and torch.equal(anew[1]["samples"], latents["samples"])


def test_one_more_prompt_draws_its_cells_alone(model, draw, pictures):
    draw(model, seeds=1, steps=1)
    draw(model, clips=(*CLIPS, "in the snow"), seeds=1, steps=1)
    assert pictures.count == 6 + 3


CHANGES = {
    "guidance": {"guidance": 2.0},
    "CLIP prompt": {"vec": "on pink paper"},
    "T5 prompt": {"txt": ("a heart", "ComfyUI")},
    "length": {"txt": ("a star", "exact")},
    "weights": {"txt": ("a (star:1.3)", "ComfyUI", "attention")},
    "seed": {"seed": 8},
    "steps": {"steps": 3},
    "scheduler": {"scheduler": "beta"},
    "size": {"latent": {"samples": torch.zeros(1, 16, 8, 10)}},
    "picture": {"latent": {"samples": torch.ones(1, 16, 8, 8)}},
    "mask": {"latent": {**LATENT, "noise_mask": torch.ones(1, 64, 64)}},
    "picture beside it": {"beside": {"concat_latent_image": torch.ones(1, 16, 8, 8)}},
    "another picture beside it": {"beside": {"concat_latent_image": torch.zeros(1, 16, 8, 8)}},
    "reference": {"beside": {"reference_latents": [torch.zeros(1, 16, 8, 8)]}},
}


def test_whatever_changes_a_picture_changes_its_key(singles):
    def key(guidance=3.5, vec="at night", txt=("a star", "ComfyUI"), latent=LATENT, beside=None, **plan):
        streams = encode_clip_prompt(singles[0], vec, "first")[0], encode_t5(singles[1], *txt)[0]
        streams = streams[0], with_extras(streams[1], beside or {}, {}, "Prompt Grid")
        return identity.of_cell(
            "the model", *streams, guidance, latent, replace(SamplingPlan(7, 2, "euler", "simple"), **plan)
        )

    keys = {name: key(**change) for name, change in {"nothing": {}, **CHANGES}.items()}
    assert None not in keys.values() and len(set(keys.values())) == len(keys)
    assert keys["nothing"] == key()
    assert key(latent={**LATENT, "something": object()}) is None, "what cannot be told is never kept"
    assert key(beside={"control": object()}) is None, "a ControlNet has no content to compare"


def lora(model, strength: float, seed: int = 0):
    """The model with a change of one weight, as LoRA loaders make it."""
    key = "diffusion_model.double_blocks.0.img_attn.proj.weight"
    weight = comfy.utils.get_attr(model.model, key)
    change = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    patched = model.clone()
    assert patched.add_patches({key: ("diff", (change,))}, strength)
    return patched


def test_a_lora_is_another_model(model, draw, pictures):
    small = {"clips": CLIPS[:1], "t5s": T5S[:2], "seeds": 1}
    plain = draw(model, **small)
    patched = draw(lora(model, 1.0), **small)
    assert pictures.count == 4 and not torch.equal(plain[1]["samples"], patched[1]["samples"])
    others = [identity.of_model(each) for each in (model, lora(model, 1.0), lora(model, 0.5), lora(model, 1.0, seed=1))]
    assert len(set(others)) == 4 and None not in others
    # The first two again, whichever of them has its weights in the model just now.
    assert torch.equal(draw(lora(model, 1.0), **small)[1]["samples"], patched[1]["samples"])
    assert torch.equal(draw(model, **small)[1]["samples"], plain[1]["samples"]) and pictures.count == 4


def test_another_file_at_the_same_path_is_another_model(model, tiny, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(tiny["flux"].read_bytes())
    first = identity.of_model(comfy.sd.load_diffusion_model(str(path)))
    assert first == identity.of_model(model) is not None, "the same content is the same model"
    weights = comfy.utils.load_torch_file(str(path))
    weights = {name: value * 1.01 if name.endswith("img_mlp.0.weight") else value for name, value in weights.items()}
    comfy.utils.save_torch_file(weights, str(path))
    assert identity.of_model(comfy.sd.load_diffusion_model(str(path))) not in (first, None)


def test_a_file_exchanged_under_a_loaded_model_does_not_lend_it_its_name(tiny, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(tiny["flux"].read_bytes())
    loaded = comfy.sd.load_diffusion_model(str(path))
    weights = comfy.utils.load_torch_file(str(path))
    comfy.utils.save_torch_file(
        {name: value + 1e-3 if value.ndim == 1 else value for name, value in weights.items()}, str(path)
    )
    assert identity.of_model(loaded) != identity.of_model(comfy.sd.load_diffusion_model(str(path)))


def test_settings_of_the_model_are_told(model):
    def shifted(shift):
        return nodes_model_advanced.ModelSamplingFlux().patch(model, shift, 0.5, 64, 64)[0]

    told = [identity.of_model(each) for each in (model, shifted(1.0), shifted(1.3))]
    assert None not in told and len(set(told)) == 3
    assert identity.of_model(shifted(1.3)) == told[2] and identity.of_model(model.clone()) == told[0]
    assert identity.of_model(ApplyDuet.execute(model)[0]) == told[0], "it does nothing to prompts without controls"


def opaque(model, how: str):
    changed = model.clone()
    if how == "a function":
        changed.set_model_unet_function_wrapper(
            lambda apply_model, args: apply_model(args["input"], args["timestep"], **args["c"])
        )
    elif how == "a patch":
        changed.set_model_attn1_patch(lambda *args: args)
    elif how == "a wrapper":
        changed.add_wrapper("outer_sample", lambda executor, *args, **kwargs: executor(*args, **kwargs))
    elif how == "an object":
        changed.add_object_patch("concat_keys", ())
    else:
        changed.cached_patcher_init = None
    return changed


@pytest.mark.parametrize("how", ["a function", "a patch", "a wrapper", "an object", "another loader"])
def test_where_a_model_cannot_be_told_nothing_is_kept_and_that_is_said(model, draw, pictures, caplog, how):
    changed = opaque(model, how)
    assert identity.of_model(changed) is None
    if how == "a function":
        draw(changed, clips=CLIPS[:1], seeds=1, steps=1)
        draw(changed, clips=CLIPS[:1], seeds=1, steps=1)
        assert pictures.count == 6 and cells.cells().size() == (0, 0) and "cells are not kept" in caplog.text


def test_cells_are_bounded_and_forgotten(model, draw, pictures, monkeypatch):
    monkeypatch.setattr(cells, "LIMIT_MB", 0.02)  # four latents of this size
    draw(model, steps=1)
    count, size = cells.cells().size()
    assert 0 < count < 12 and size <= 20_000
    for path in cells.cells().folder.glob("*.safetensors"):
        os.utime(path, (0, time.time() - cells.FORGOTTEN - 60))
    cells.cells().forget()
    assert cells.cells().size() == (0, 0)


# ---- what stands beside the prompts


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
    """Bit for bit what MMDiT Sampler gives for the same CONDITIONING; it was drawn without the picture."""
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
    assert ((found - run(join(vec, txt, 3.5))).norm() / found.norm()) > 1e-3, "the picture counts"


@pytest.mark.parametrize("channels", [96, 32])
def test_a_model_that_needs_a_picture_is_refused_without_one(tiny, vae, draw, pictures, channels):
    model, plain = layouts_of(tiny, channels), [[torch.zeros(1, 9, 64), {"pooled_output": torch.zeros(1, 64)}]]
    for like in (None, plain):
        with pytest.raises(ValueError, match="Prompt Grid: this model reads a picture beside its latent.*to `like`"):
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


def test_several_prompts_in_like_are_told(model, draw):
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
    """The tiny FLUX.1 with as many input channels: 16 as dev, 32 as Canny and Depth, 96 as Fill."""
    weights = comfy.utils.load_torch_file(str(tiny["flux"]))
    more = torch.randn(128, 4 * (channels - 16), generator=torch.Generator().manual_seed(4)) / (4 * channels) ** 0.5
    weights["img_in.weight"] = torch.cat([weights["img_in.weight"], more], 1)
    return comfy.sd.load_diffusion_model_state_dict(weights)


# ---- what comes in


def test_prompts_from_files(model, draw, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    (tmp_path / "more.txt").write_text("in the snow\n")
    told = json.loads(draw(model, seeds=1, t5s=T5S[:1], steps=1, clip_file="more.txt")[3])
    assert told["clip"] == [*CLIPS, "in the snow"]
    before = PromptGrid.fingerprint_inputs(clip_file="more.txt", t5_file="(none)", seed=None)
    (tmp_path / "more.txt").write_text("in the snow\nat dusk\n")
    assert PromptGrid.fingerprint_inputs(clip_file="more.txt", t5_file="(none)", seed=None) != before


def test_the_usual_grid_has_an_interval(model, draw):
    schema = PromptGrid.define_schema()
    assert next(each for each in schema.inputs if each.id == "seeds").default >= 4
    told = json.loads(draw(model, clips=CLIPS, t5s=T5S[:2], seeds=4, steps=1)[3])["pixels"]
    assert all(told["intervals"].values()) and all(told["chance"][name] is not None for name in ("clip", "t5", "both"))
    assert "seeds random" in told["method"] and set(told["components"]) == set(told["shares"])


def test_one_prompt_and_one_seed_tell_what_is_unknown(model, draw):
    told = json.loads(draw(model, clips=CLIPS[:1], seeds=1, steps=1)[3])
    assert told["latents"]["shares"]["seed"] is None and told["latents"]["shares"]["clip"] is None


def test_several_pictures_in_the_latent_are_told(model, draw):
    with pytest.raises(ValueError, match="with 2 pictures, expected one"):
        draw(model, latent={"samples": torch.zeros(2, 16, 8, 8)})
