import math

import torch

from flux_duet.nodes.compat import flux_model

SIZES = ("depth", "depth_single_blocks", "hidden_size", "num_heads", "vec_in_dim", "context_in_dim", "guidance_embed",
         "global_modulation")  # fmt: skip
LAYERS = ("time_in", "guidance_in", "vector_in", "txt_in", "img_in", "double_blocks", "single_blocks", "final_layer")


def test_flux_and_its_sizes(model):
    """A FLUX.1 MODEL is model_base.Flux around ldm.flux.model.Flux, whose `params` hold its sizes."""
    flux = model.get_model_object("diffusion_model")
    assert type(model.model) is flux_model.FluxBase
    assert isinstance(flux, flux_model.Flux)
    assert isinstance(flux.params, flux_model.FluxParams)
    assert [name for name in SIZES if not hasattr(flux.params, name)] == []
    assert [name for name in LAYERS if not hasattr(flux, name)] == []
    assert (len(flux.double_blocks), len(flux.single_blocks)) == (flux.params.depth, flux.params.depth_single_blocks)
    assert flux.vector_in.in_layer.weight.shape[1] == flux.params.vec_in_dim
    assert flux.txt_in.weight.shape[1] == flux.params.context_in_dim
    assert flux.params.global_modulation is False


def test_relatives():
    """Relatives are classes of their own; of two that are parent and child, the child is ChromaRadiance."""
    assert issubclass(flux_model.Flux2, flux_model.FluxBase)
    assert issubclass(flux_model.LongCatImage, flux_model.FluxBase)
    assert issubclass(flux_model.Chroma, flux_model.FluxBase)
    assert issubclass(flux_model.ChromaRadiance, flux_model.Chroma)
    assert not issubclass(flux_model.FluxBase, flux_model.HunyuanVideo)


def test_transformer(model):
    """`get_model_object` gives an exchanged transformer, and torch.compile keeps the given one as `_orig_mod`."""
    flux = model.model.diffusion_model
    assert flux_model.transformer_of(model) is flux
    compiled = model.clone()
    compiled.add_object_patch("diffusion_model", torch.compile(flux))
    assert compiled.get_model_object("diffusion_model") is not flux
    assert flux_model.transformer_of(compiled) is flux


def test_patched_shape(model):
    """Patches are in `patches` by the weight's full name; a padded one tells the shape that the weight will have."""
    key, weight = "diffusion_model.img_in.weight", model.model.diffusion_model.img_in.weight
    wide = torch.zeros(weight.shape[0], 2 * weight.shape[1])
    assert flux_model.patched_shape(model, key, weight) == weight.shape
    patched = model.clone()
    assert patched.add_patches({key: ("diff", (wide, {"pad_weight": True}))}) == [key]
    assert flux_model.patched_shape(patched, key, weight) == wide.shape
    assert flux_model.patched_shape(model, key, weight) == weight.shape


def test_timestep_embedding():
    """Cosines then sines of 1000 t, at frequencies from 1 down to nearly 1 / 10000."""
    t, half = torch.tensor([0.0, 0.25, 1.0]), 128
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
    angles = (1000 * t)[:, None] * frequencies
    assert torch.equal(flux_model.timestep_embedding(t, 256), torch.cat([angles.cos(), angles.sin()], 1))


def test_attention_mask_of_another_size():
    """[B, q, k] with texts first: texts' part stays, the image's parts are scaled; the same size is left alone."""
    mask = torch.full((1, 6, 6), 4.0)
    mask[:, :2, :2], mask[:, :2, 2:], mask[:, 2:, :2] = 1.0, 2.0, 3.0
    assert flux_model.scale_attention_mask(mask, (2, 2), (2, 2)) is mask
    scaled = flux_model.scale_attention_mask(mask, (2, 2), (4, 3))
    assert scaled.shape == (1, 14, 14)
    for part, value in ((scaled[:, :2, :2], 1), (scaled[:, :2, 2:], 2), (scaled[:, 2:, :2], 3), (scaled[:, 2:, 2:], 4)):
        assert torch.allclose(part, torch.full_like(part, value))
