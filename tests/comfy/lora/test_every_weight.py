"""Every weight of FLUX.1 and of its encoders has a part, at its published size."""

import pytest
import torch
from comfy import ops
from comfy.ldm.flux.model import Flux

from flux_duet.nodes.condition.blocks import Depth
from flux_duet.nodes.lora.parts import CLIP_ENCODER, CLIP_STREAM, IMAGE, JOINT, T5_ENCODER, T5_STREAM, place_of


@pytest.mark.parametrize("guidance", [True, False], ids=["dev", "schnell"])
def test_of_the_transformer(guidance):
    flux = Flux(
        in_channels=16, out_channels=16, patch_size=2, vec_in_dim=768, context_in_dim=4096, hidden_size=3072,
        num_heads=24, mlp_ratio=4.0, depth=19, depth_single_blocks=38, axes_dim=[16, 56, 56], theta=10000,
        qkv_bias=True, guidance_embed=guidance, txt_ids_dims=[], device="meta", operations=ops.disable_weight_init,
    )  # fmt: skip
    places = {name: place_of(f"diffusion_model.{name}", Depth.of(flux)) for name in flux.state_dict()}
    parts = {name: place.part for name, place in places.items()}
    assert set(parts.values()) == {CLIP_STREAM, T5_STREAM, IMAGE, JOINT}
    assert {place.block for place in places.values()} == {None, *range(57)}
    linears = [name for name, each in flux.named_modules() if isinstance(each, torch.nn.Linear)]
    counts = {part: sum(parts[f"{name}.weight"] == part for name in linears) for part in set(parts.values())}
    assert counts == {CLIP_STREAM: 2 * 19 + 38 + 1 + 2 * (2 + guidance), T5_STREAM: 1 + 4 * 19, IMAGE: 2 + 4 * 19,
                      JOINT: 2 * 38}  # fmt: skip
    # A weight and its bias, its scale for a quantised format, and the norms beside it are in the same part.
    assert all(parts[f"{name}.bias"] == parts[f"{name}.weight"] for name in linears if f"{name}.bias" in parts)


def test_of_the_encoders(dual):
    parts = {name: place_of(name, Depth(2, 3)) for name in dual.cond_stage_model.state_dict()}
    assert {each.part for each in parts.values()} == {CLIP_ENCODER, T5_ENCODER}
    assert all((each.part == T5_ENCODER) == ("SelfAttention" in name or "shared" in name or "DenseReluDense" in name
               or name.startswith("t5xxl")) for name, each in parts.items())  # fmt: skip
