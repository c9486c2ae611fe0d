"""ComfyUI verifies the layouts: it loads every file without a warning and samples from them."""

import time

import comfy.sample
import comfy.sd
import comfy.utils
import pytest
import torch

from flux_duet.nano import layouts

pytestmark = pytest.mark.slow

SHAPES = {
    "nano": layouts.Shape(),
    "wide, one block of each": layouts.Shape(hidden=256, double=1, single=1),
    "Long-CLIP": layouts.Shape(clip_width=128, clip_layers=3, clip_positions=248),
    "schnell": layouts.Shape(guidance=False, t5_width=48, t5_heads=3, t5_head_width=16),
}


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES.keys())
def saved(request, tmp_path_factory):
    """A shape and its four files in float16, the hardest of the usual types."""
    folder = tmp_path_factory.mktemp("models")
    return request.param, layouts.save(folder, request.param, seed=3, dtype=torch.float16)


def strictly(module: torch.nn.Module, state_dict: dict) -> None:
    missing, unexpected = module.load_state_dict(state_dict, strict=False)
    assert not unexpected
    assert set(missing) <= {"text_projection.weight"}


def test_native_loader_reads_the_shape_back(saved):
    shape, paths = saved
    model = comfy.sd.load_diffusion_model(str(paths["flux"]))
    config = model.model.model_config.unet_config
    read = {
        "hidden": config["hidden_size"],
        "double": config["depth"],
        "single": config["depth_single_blocks"],
        "guidance": config["guidance_embed"],
        "clip_width": config["vec_in_dim"],
        "t5_width": config["context_in_dim"],
    }
    assert read == {name: getattr(shape, name) for name in read}
    strictly(
        model.model.diffusion_model,
        model.model.model_config.process_unet_state_dict(comfy.utils.load_torch_file(str(paths["flux"]))),
    )


def test_encoders_have_official_names(saved):
    shape, paths = saved
    clip, t5 = (comfy.utils.load_torch_file(str(paths[name])) for name in ("clip_l", "t5xxl"))
    assert clip["text_model.embeddings.token_embedding.weight"].shape == (49408, shape.clip_width)
    assert clip["text_model.embeddings.position_embedding.weight"].shape == (shape.clip_positions, shape.clip_width)
    assert comfy.sd.detect_te_model(clip) is not comfy.sd.detect_te_model(t5)
    assert t5["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"].shape == (32, shape.t5_heads)
    parts = layouts.modules(shape)
    strictly(parts["clip_l"], clip)
    strictly(parts["t5xxl"], t5)


def test_vae_loads_as_a_flux_autoencoder(saved):
    vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(saved[1]["ae"])))
    assert (vae.latent_channels, vae.latent_dim, vae.downscale_ratio) == (16, 2, 8)
    image = torch.rand(1, 64, 96, 3)
    latent = vae.encode(image)
    assert latent.shape == (1, 16, 8, 12)
    assert vae.decode(latent).shape == image.shape


def test_one_step_has_no_nan_and_depends_on_both_streams(saved):
    shape, paths = saved
    model = comfy.sd.load_diffusion_model(str(paths["flux"]))
    generator = torch.Generator().manual_seed(0)
    latent, noise = torch.zeros(1, 16, 8, 8), torch.randn(1, 16, 8, 8, generator=generator)

    def sample(txt_scale: float, vec_scale: float) -> torch.Tensor:
        generator.manual_seed(1)
        txt = txt_scale * torch.randn(1, 6, shape.t5_width, generator=generator)
        vec = vec_scale * torch.randn(1, shape.clip_width, generator=generator)
        conditioning = [[txt, {"pooled_output": vec, "guidance": 3.5}]]
        return comfy.sample.sample(
            model, noise, 1, 1.0, "euler", "simple", conditioning, conditioning, latent, disable_pbar=True, seed=0
        )

    both, other_txt, other_vec = sample(1, 1), sample(-1, 1), sample(1, -1)
    assert both.isfinite().all()
    for other in (other_txt, other_vec):
        assert (other - both).norm() > 0.01 * both.norm()


def test_seed_decides_and_is_quick():
    start = time.process_time()
    first = layouts.random_state_dicts(layouts.Shape(), seed=5)
    assert time.process_time() - start < 5  # of this process alone, however busy the machine is
    second, third = (layouts.random_state_dicts(layouts.Shape(), seed=seed) for seed in (5, 6))
    assert all(first[part][key].equal(second[part][key]) for part in first for key in first[part])
    assert not first["flux"]["img_in.weight"].equal(third["flux"]["img_in.weight"])


def test_token_tables_may_be_float8(tmp_path):
    paths = layouts.write(
        tmp_path, layouts.random_state_dicts(), torch.float16, torch.float8_e4m3fn, {"recipe": "none"}
    )
    parts = {name: part.half() for name, part in layouts.modules(layouts.Shape(), seed=1).items()}
    for name, table in zip(("clip_l", "t5xxl"), layouts.TABLES, strict=True):
        stored = comfy.utils.load_torch_file(str(paths[name]))
        strictly(parts[name], stored)
        assert stored[table].dtype == torch.float8_e4m3fn
        assert parts[name].state_dict()[table].equal(stored[table].half())
    assert not list(tmp_path.rglob("*.partial-*"))


def test_a_head_is_never_cut():
    with pytest.raises(ValueError, match="multiple of 128"):
        layouts.Shape(hidden=200)
