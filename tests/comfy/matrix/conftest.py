"""The models and files that neighbours bring, small and random, made once by ComfyUI's own classes and loaders."""

import math

import comfy.controlnet
import comfy.hooks
import comfy.sd
import comfy.utils
import pytest
import torch
from comfy import ops
from comfy.ldm.flux.controlnet import ControlNetFlux
from comfy.ldm.flux.redux import ReduxImageEncoder

from flux_duet.nano import layouts
from flux_duet.tests.comfy.inputs import randn
from flux_duet.tests.comfy.matrix.graph import CLIP_C, SHAPE, C, prompt
from flux_duet.tests.comfy.matrix.registry import World


@pytest.fixture(scope="session")
def flux(save_models):
    with torch.inference_mode():
        return comfy.sd.load_diffusion_model(str(save_models(SHAPE)["flux"]))


@pytest.fixture(scope="session")
def world(tiny):
    with torch.inference_mode():
        return World(
            fill=_fill(),
            vae=comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(tiny["ae"]))),
            xlabs=_xlabs(),
            instantx=_instantx(),
            style=_style(),
            lora=_lora(),
            hooks=comfy.hooks.create_hook_lora(_lora(), 0.8, 0.0),
            other=prompt(C, CLIP_C),
        )


def _fill():
    """FLUX.1 Fill's layout: 16 channels of noise, 16 of the picture, 64 of its mask's pixels, in patches of 2 x 2."""
    weights = layouts.random_state_dicts(SHAPE)["flux"]
    weights["img_in.weight"] = randn(30, 128, 96 * 4) / math.sqrt(96 * 4)
    return comfy.sd.load_diffusion_model_state_dict(weights)


def _controlnet(**options) -> ControlNetFlux:
    net = ControlNetFlux(
        in_channels=16,
        out_channels=16,
        patch_size=2,
        vec_in_dim=64,
        context_in_dim=64,
        hidden_size=128,
        num_heads=1,
        mlp_ratio=4.0,
        depth=1,
        depth_single_blocks=0,
        axes_dim=[16, 56, 56],
        theta=10000,
        qkv_bias=True,
        guidance_embed=True,
        txt_ids_dims=[],
        operations=ops.disable_weight_init,
        **options,
    )
    layouts._fill(net, torch.Generator().manual_seed(31))
    return net


def _xlabs():
    weights = _controlnet().state_dict()
    return comfy.controlnet.load_controlnet_state_dict(
        {key.replace("_norm.weight", "_norm.scale"): value for key, value in weights.items()}
    )


def _instantx():
    """With diffusers' key names, by which InstantX's are distinguished from XLabs'."""
    weights = dict(_controlnet(latent_input=True).state_dict())
    names = comfy.utils.flux_to_diffusers({"depth": 1, "depth_single_blocks": 0, "hidden_size": 128}, output_prefix="")
    out = {}
    for theirs, ours in names.items():
        ours, *cut = ours if isinstance(ours, tuple) else (ours,)
        if ours not in weights:
            continue
        value = weights[ours]
        if cut and cut[0] is not None:
            value = value.narrow(*cut[0])
        out[theirs] = value.clone()
    for name in ("pos_embed_input.weight", "pos_embed_input.bias"):
        out[name.replace("pos_embed_input", "controlnet_x_embedder")] = weights[name]
    out.update({key: value for key, value in weights.items() if key.startswith("controlnet_blocks")})
    return comfy.controlnet.load_controlnet_state_dict(out)


def _style():
    redux = ReduxImageEncoder(redux_dim=32, txt_in_features=64)
    layouts._fill(redux, torch.Generator().manual_seed(32))
    return comfy.sd.StyleModel(redux)


def _lora() -> dict[str, torch.Tensor]:
    return {
        f"diffusion_model.{layer}.{side}.weight": randn(seed, *shape)
        for layer, width in (("single_blocks.0.linear2", 640), ("double_blocks.0.img_attn.proj", 128))
        for seed, side, shape in ((33, "lora_up", (128, 2)), (34, "lora_down", (2, width)))
    }
