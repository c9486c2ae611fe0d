import math

import torch
from comfy.ldm.flux.layers import EmbedND
from comfy.ldm.flux.math import apply_rope

from flux_duet.nodes.compat import flux_model

# `patch_size` is of a latent: FLUX.1 reads one token for each 2 x 2 of it.
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
    assert flux.patch_size == 2


def test_relatives():
    """Related models have their own classes; ChromaRadiance is the only subclass of another one."""
    assert issubclass(flux_model.Flux2, flux_model.FluxBase)
    assert issubclass(flux_model.LongCatImage, flux_model.FluxBase)
    assert issubclass(flux_model.Chroma, flux_model.FluxBase)
    assert issubclass(flux_model.ChromaRadiance, flux_model.Chroma)
    assert not issubclass(flux_model.FluxBase, flux_model.HunyuanVideo)


def test_transformer(model):
    """`get_model_object` returns a replaced transformer, and torch.compile keeps the original as `_orig_mod`."""
    flux = model.model.diffusion_model
    assert flux_model.transformer_of(model) is flux
    compiled = model.clone()
    compiled.add_object_patch("diffusion_model", torch.compile(flux))
    assert compiled.get_model_object("diffusion_model") is not flux
    assert flux_model.transformer_of(compiled) is flux


def test_transformer_in_a_base_model(model):
    """Wrappers of a run are given the BaseModel, whose `diffusion_model` is the transformer."""
    assert flux_model.transformer_in(model.model) is flux_model.transformer_of(model)


def test_config(model):
    """What was found in the file: channels of the latent that goes in (more for Fill) and comes out."""
    config = flux_model.transformer_config(model)
    assert (config["in_channels"], config["out_channels"]) == (16, 16)


def test_layers_under_their_names(model):
    """BFL's names inside the blocks, which probes read: each kind's modulation, and what puts attention back."""
    flux, sizes = model.model.diffusion_model, model.model.diffusion_model.params
    vec = torch.zeros(1, sizes.hidden_size)
    double, single = flux.double_blocks[0], flux.single_blocks[0]
    for modulation, parts in ((double.img_mod, 6), (double.txt_mod, 6), (single.modulation, 3)):
        assert modulation.lin.out_features == parts * sizes.hidden_size
        assert modulation(vec)[0].gate.shape == (1, 1, sizes.hidden_size)
    assert flux.final_layer.adaLN_modulation[1].out_features == 2 * sizes.hidden_size
    assert double.img_attn.proj.in_features == sizes.hidden_size
    assert single.linear2.in_features == sizes.hidden_size + single.mlp_hidden_dim
    rows = torch.zeros(1, 2, sizes.hidden_size)
    assert double.txt_attn.qkv(double.txt_norm1(rows)).shape == (1, 2, 3 * sizes.hidden_size)
    assert double.txt_attn.proj(rows).shape == double.txt_mlp(double.txt_norm2(rows)).shape == rows.shape
    q, k = double.txt_attn.norm(*rows.unflatten(-1, (double.num_heads, -1)).transpose(1, 2).expand(3, -1, -1, -1, -1))
    assert q.shape == k.shape == (1, double.num_heads, 2, sizes.hidden_size // sizes.num_heads)
    embedding = torch.zeros(1, 256)
    assert flux.time_in(embedding).shape == flux.guidance_in(embedding).shape == vec.shape
    assert flux.vector_in(torch.zeros(1, sizes.vec_in_dim)).shape == vec.shape


def test_patched_shape(model):
    """Patches are in `patches` by the weight's full name; a padded one has the shape that the weight will have."""
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
    """[B, q, k], text first: the text's part stays, the image's is scaled; equal sizes are unchanged."""
    mask = torch.full((1, 6, 6), 4.0)
    mask[:, :2, :2], mask[:, :2, 2:], mask[:, 2:, :2] = 1.0, 2.0, 3.0
    assert flux_model.scale_attention_mask(mask, (2, 2), (2, 2)) is mask
    scaled = flux_model.scale_attention_mask(mask, (2, 2), (4, 3))
    assert scaled.shape == (1, 14, 14)
    for part, value in ((scaled[:, :2, :2], 1), (scaled[:, :2, 2:], 2), (scaled[:, 2:, :2], 3), (scaled[:, 2:, 2:], 4)):
        assert torch.allclose(part, torch.full_like(part, value))


def test_rope_of_one_tensor():
    """RoPE of keys alone is that of a block's queries and keys, and changes nothing where the ids are 0."""
    embed = EmbedND(dim=8, theta=10000, axes_dim=[2, 2, 4])
    ids = torch.tensor([[[0, 0, 0], [0, 3, 5]]])
    q, k = (torch.randn(2, 3, 2, 8) for _ in range(2))
    pe = embed(ids)
    assert pe.shape == (1, 1, 2, 4, 2, 2)
    assert torch.equal(flux_model.rotated(k, pe), apply_rope(q, k, pe)[1])
    assert torch.equal(flux_model.rotated(k, pe)[:, :, 0], k[:, :, 0])
    assert torch.equal(flux_model.rotated(k[:, :, 1:], pe[:, :, 1:]), flux_model.rotated(k, pe)[:, :, 1:])
