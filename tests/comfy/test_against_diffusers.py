"""The transformer, and the complete pipeline from two prompts to a picture, compared with diffusers."""

from dataclasses import dataclass

import comfy.cli_args
import comfy.sd
import comfy.utils
import folder_paths
import pytest
import torch
from comfy.latent_formats import Flux as FluxLatents
from diffusers import FluxPipeline
from torch import Tensor

from flux_duet.nano import layouts
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.decode.nodes import VAEDecode
from flux_duet.nodes.encode.load.nodes import LoadClip, LoadT5
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.tests.comfy import reference

HEIGHT, WIDTH = 16, 20  # of the latent; 8 pixels each
STEPS, SEED, GUIDANCE = 8, 5, 3.5

# All in float32: the remaining difference is the order of summation in matrix products and attention.
# Measured: velocity 3e-7, latent after 8 steps 4e-6 (half of it T5's, see test_against_transformers), pixels 1e-5.
VELOCITY_ROUNDING, LATENT_ROUNDING = 2e-6, 2e-5  # relative
PIXEL_ROUNDING = 5e-5  # absolute, on a scale of 0 to 1: an eightieth of an 8-bit step

STYLE = "oil painting, warm light"
SCENE = "A red fox sits left of a blue door, with the word FLUX above it"


@pytest.fixture(scope="module", params=reference.SHAPES.values(), ids=reference.SHAPES.keys())
def saved(request, tmp_path_factory):
    weights = layouts.random_state_dicts(request.param)
    return request.param, weights, layouts.write(tmp_path_factory.mktemp("models"), weights)


@pytest.mark.parametrize("sigma", [1.0, 0.6, 0.05])
@torch.inference_mode()
def test_velocity(saved, sigma):
    shape, weights, paths = saved
    generator = torch.Generator().manual_seed(SEED)
    img, txt, vec = (
        torch.randn(2, *size, generator=generator)
        for size in ((16, HEIGHT, WIDTH), (40, shape.t5_width), (shape.clip_width,))
    )
    sigmas, guidance = torch.tensor([sigma, sigma / 2]), torch.tensor([GUIDANCE, 1.0])
    model = comfy.sd.load_diffusion_model(str(paths["flux"])).model.diffusion_model
    assert model.dtype == torch.float32
    ours = model(img, sigmas, context=txt, y=vec, guidance=guidance)
    theirs = reference.transformer(shape, weights["flux"])(
        hidden_states=FluxPipeline._pack_latents(img, *img.shape),
        timestep=sigmas,
        pooled_projections=vec,
        encoder_hidden_states=txt,
        guidance=guidance if shape.guidance else None,
        txt_ids=torch.zeros(40, 3),
        img_ids=FluxPipeline._prepare_latent_image_ids(2, HEIGHT // 2, WIDTH // 2, "cpu", torch.float32),
    ).sample
    assert reference.distance(ours, unpacked(theirs)) < VELOCITY_ROUNDING


def unpacked(tokens: Tensor) -> Tensor:
    """[B, tokens, 64] -> [B, 16, H, W]"""
    return FluxPipeline._unpack_latents(tokens, 8 * HEIGHT, 8 * WIDTH, 8)


Prompts = tuple[str, str]  # CLIP's prompt and T5's


@dataclass(frozen=True)
class Picture:
    latent: Tensor  # [1, 16, H, W], as an autoencoder takes it
    pixels: Tensor  # [1, 8 H, 8 W, 3], from 0 to 1


class Ours:
    """The graph of the stage nodes."""

    def __init__(self, paths: dict, length: int):
        self.length = f"official {length}"
        self.clip = LoadClip.execute(paths["clip_l"].name)[0]
        self.t5 = LoadT5.execute(paths["t5xxl"].name)[0]
        self.model = comfy.sd.load_diffusion_model(str(paths["flux"]))
        self.vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(paths["ae"])))

    @torch.inference_mode()  # as ComfyUI runs nodes
    def picture(self, prompts: Prompts, negative: Prompts | None = None, cfg: float = 1.0) -> Picture:
        latent = MMDiTSampler.execute(
            self.model,
            self.conditioning(*prompts),
            {"samples": torch.zeros(1, 16, HEIGHT, WIDTH)},
            self.conditioning(*negative) if negative else None,
            cfg=cfg,
            seed=SEED,
            steps=STEPS,
            sampler="euler",
            scheduler="official",
        )[0]
        return Picture(latent["samples"], VAEDecode.execute(self.vae, latent)[0])

    def conditioning(self, clip: str, t5: str) -> list:
        vec, txt = ClipEncode.execute(self.clip, clip)[0], T5Encode.execute(self.t5, t5, self.length)[0]
        return DualPrompt.execute(vec, txt, GUIDANCE)[0]


class Theirs:
    """FluxPipeline, which makes noise, schedule and everything else itself from the seed."""

    def __init__(self, pipe: FluxPipeline, length: int):
        self.pipe, self.length = pipe, length

    def picture(self, prompts: Prompts, negative: Prompts | None = None, cfg: float = 1.0) -> Picture:
        latents = []
        against = dict(zip(("negative_prompt", "negative_prompt_2"), negative, strict=True)) if negative else {}
        images = self.pipe(
            prompt=prompts[0],
            prompt_2=prompts[1],
            **against,
            true_cfg_scale=cfg,
            guidance_scale=GUIDANCE,
            height=8 * HEIGHT,
            width=8 * WIDTH,
            num_inference_steps=STEPS,
            max_sequence_length=self.length,
            generator=torch.Generator().manual_seed(SEED),
            output_type="pt",
            callback_on_step_end=lambda pipe, step, time, tensors: latents.append(tensors["latents"]) or {},
        ).images
        assert len(latents) == STEPS
        return Picture(FluxLatents().process_out(unpacked(latents[-1])), images.movedim(1, -1))


@pytest.fixture(scope="module")
def both(saved):
    """Dev reads 512 rows of T5 and schnell 256, as in Black Forest Labs' code."""
    shape, weights, paths = saved
    length = 512 if shape.guidance else 256
    folders = [str(paths["clip_l"].parent)], {".safetensors"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(folder_paths.folder_names_and_paths, "text_encoders", folders)
        patch.setattr(comfy.cli_args.args, "fp32_text_enc", True)  # --fp32-text-enc, read while a CLIP is made
        return Ours(paths, length), Theirs(reference.pipeline(shape, weights), length)


def assert_same(ours: Picture, theirs: Picture) -> None:
    assert reference.distance(ours.latent, theirs.latent) < LATENT_ROUNDING
    assert ours.pixels.shape == theirs.pixels.shape
    assert (ours.pixels - theirs.pixels).abs().max() < PIXEL_ROUNDING
    assert theirs.pixels.std() > 0.05  # not saturated, so that the comparison means something


@pytest.mark.slow
def test_picture_and_which_prompt_goes_where(both):
    ours, theirs = both
    straight, swapped = ours.picture((STYLE, SCENE)), ours.picture((SCENE, STYLE))
    assert_same(straight, theirs.picture((STYLE, SCENE)))
    assert_same(swapped, theirs.picture((SCENE, STYLE)))
    assert reference.distance(swapped.latent, straight.latent) > 0.1


@pytest.mark.slow
def test_true_cfg(both):
    ours, theirs = both
    prompts, negative = (STYLE, SCENE), ("flat, grey", "a blurred crowd")
    with_cfg = ours.picture(prompts, negative, 2.0)
    assert_same(with_cfg, theirs.picture(prompts, negative, 2.0))
    assert reference.distance(with_cfg.latent, ours.picture(prompts).latent) > 0.1
