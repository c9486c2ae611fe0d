"""Where a weight belongs: FLUX.1's parts by the weights' names, and the strengths there."""

import pytest

from flux_duet.nodes.condition.blocks import Blocks, Depth
from flux_duet.nodes.lora.parts import PARTS, Place, place_of
from flux_duet.nodes.lora.strengths import Strengths

FLUX = Depth(19, 38)
PLACES = {
    "diffusion_model.vector_in.in_layer.weight": ("clip_stream", None),
    "diffusion_model.time_in.out_layer.bias": ("clip_stream", None),
    "diffusion_model.guidance_in.in_layer.weight": ("clip_stream", None),
    "diffusion_model.final_layer.adaLN_modulation.1.weight": ("clip_stream", None),
    "diffusion_model.double_blocks.0.img_mod.lin.weight": ("clip_stream", 0),
    "diffusion_model.double_blocks.18.txt_mod.lin.bias": ("clip_stream", 18),
    "diffusion_model.single_blocks.37.modulation.lin.weight": ("clip_stream", 56),
    "diffusion_model.txt_in.weight": ("t5_stream", None),
    "diffusion_model.double_blocks.7.txt_attn.qkv.weight": ("t5_stream", 7),
    "diffusion_model.double_blocks.7.txt_attn.norm.key_norm.weight": ("t5_stream", 7),
    "diffusion_model.double_blocks.7.txt_mlp.2.bias": ("t5_stream", 7),
    "diffusion_model.img_in.weight": ("image", None),
    "diffusion_model.double_blocks.10.img_attn.proj.weight_scale": ("image", 10),
    "diffusion_model.double_blocks.10.img_mlp.0.weight": ("image", 10),
    "diffusion_model.final_layer.linear.weight": ("image", None),
    "diffusion_model.single_blocks.0.linear1.weight": ("joint", 19),
    "diffusion_model.single_blocks.3.norm.query_norm.weight": ("joint", 22),
    "clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight": ("clip_encoder", None),
    "t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.weight": ("t5_encoder", None),
}


@pytest.mark.parametrize("name", PLACES)
def test_place(name):
    assert place_of(name, FLUX) == PLACES[name]


def test_every_part_is_among_them():
    assert {part for part, _ in PLACES.values()} == set(PARTS)


def test_another_models_weight_is_refused():
    with pytest.raises(ValueError, match="in no part of FLUX.1"):
        place_of("diffusion_model.joint_blocks.0.context_block.attn.qkv.weight", FLUX)


@pytest.mark.parametrize(
    "place, expected",
    [
        (Place("image", 3), 0.25), (Place("image", 30), 0.0), (Place("image"), 0.25), (Place("joint", 20), 0.0),
        (Place("t5_encoder"), 0.5), (Place("clip_stream", 4), 0.5),
    ],
)  # fmt: skip
def test_strength(place, expected):
    assert Strengths({"image": 0.5}, Blocks.parse("double"), 0.5).of(place, FLUX) == expected


def test_defaults_are_neutral():
    assert {Strengths().of(Place(part, block), FLUX) for part in PARTS for block in (None, 0, 56)} == {1.0}
