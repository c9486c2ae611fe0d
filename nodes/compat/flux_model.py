"""ComfyUI's classes of FLUX.1 and related models, and functions that Flux.forward uses. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.ldm.flux.layers
import comfy.ldm.flux.math
import comfy.lora
import comfy.utils

# For isinstance and annotations: ComfyUI's transformer and its parameters.
from comfy.ldm.flux.model import Flux, FluxParams

# For isinstance: the classes of MODELs. Related models are derived from FLUX.1's class.
from comfy.model_base import Chroma, ChromaRadiance, Flux2, HunyuanVideo, LongCatImage
from comfy.model_base import Flux as FluxBase
from torch import Tensor

__all__ = ["Chroma", "ChromaRadiance", "Flux", "Flux2", "FluxBase", "FluxParams", "HunyuanVideo", "LongCatImage",
           "patched_shape", "rotated", "scale_attention_mask", "timestep_embedding", "transformer_config",
           "transformer_in", "transformer_of"]  # fmt: skip


def transformer_of(model):
    """The transformer of a MODEL, patched by other nodes or not, without torch.compile's wrapper."""
    found = model.get_model_object("diffusion_model")
    return getattr(found, "_orig_mod", found)


def transformer_in(base):
    """The transformer in a BaseModel, which is what wrappers of a run are given."""
    return base.diffusion_model


def transformer_config(model) -> Mapping[str, Any]:
    """The sizes that ComfyUI has found in a MODEL's file: `in_channels` and `out_channels` of them are in use."""
    return model.model.model_config.unet_config


def patched_shape(model, key: str, weight: Tensor) -> tuple[int, ...]:
    """The shape of `weight` after the MODEL's patches for `key` are applied (control LoRAs widen img_in)."""
    return comfy.lora.calculate_shape(model.patches.get(key, ()), weight, key)


def timestep_embedding(t: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding of t or guidance [B] -> [B, width]: cosines of 1000 t, then sines."""
    return comfy.ldm.flux.layers.timestep_embedding(t, width)


def rotated(x: Tensor, pe: Tensor) -> Tensor:
    """Queries or keys [B, heads, L, D] with RoPE, as a block applies it with `pe` [B or 1, 1, L, D / 2, 2, 2]."""
    return comfy.ldm.flux.math.apply_rope1(x, pe)


def scale_attention_mask(mask: Tensor, size: tuple[int, int], to: tuple[int, int]) -> Tensor:
    """Attention mask [B, txt + img, txt + img] for an image of `size` tokens (height, width), resized to size `to`."""
    return comfy.utils.upscale_dit_mask(mask, size, to)
