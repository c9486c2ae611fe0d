"""CLIP objects, the encoders in them, and tokenizers. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.text_encoders.flux
import comfy.text_encoders.sd3_clip
import comfy.utils

# For isinstance and annotations: what CLIP and VAE sockets carry.
from comfy.sd import CLIP, VAE

# As bases: a CLIP's model of one encoder, and its tokenizer, which a lone T5 for FLUX.1 needs under their own names.
from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer, SDClipModel

# As bases and for annotations: T5 itself, and T5-XXL as an encoder of a CLIP.
from comfy.text_encoders.sd3_clip import T5XXLModel
from comfy.text_encoders.t5 import T5
from torch import Tensor

__all__ = ["CLIP", "T5", "VAE", "SD1ClipModel", "SD1Tokenizer", "SDClipModel", "T5XXLModel", "build_clip",
           "clip_l_tokenizer", "count_parameters", "empty_tokens", "t5_kind", "t5_tokenizer",
           "t5_tokenizer_class"]  # fmt: skip


def build_clip(tokenizer: type, model: type, weights: list[dict], options: dict, **settings) -> CLIP:
    """A CLIP of a tokenizer's and a model's class, filled with `weights`; `options` are its model_options.

    `settings` are ComfyUI's: embedding_directory, tokenizer_data, disable_dynamic.
    """
    target = comfy.supported_models_base.ClipTarget(tokenizer, model)
    parameters = sum(map(count_parameters, weights))
    return comfy.sd.CLIP(target, state_dict=weights, parameters=parameters, model_options=options, **settings)


def count_parameters(weights: Mapping[str, Tensor]) -> int:
    """Numbers in a state dict."""
    return comfy.utils.calculate_parameters(weights)


def t5_kind(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """`dtype_t5`, the type of a T5-XXL's weights, and `t5_quantization_metadata` if they are quantised."""
    return comfy.text_encoders.sd3_clip.t5_xxl_detect(weights)


def empty_tokens(special: Mapping[str, Any], length: int) -> list:
    """The tokens of an empty prompt, against which weights are measured."""
    return comfy.sd1_clip.gen_empty_tokens(special, length)


def clip_l_tokenizer(positions: int = 77):
    """CLIP-L's SDTokenizer with so many positions."""
    return comfy.sd1_clip.SD1Tokenizer(tokenizer_data={"clip_l_max_length": positions}).clip_l


def t5_tokenizer_class() -> type:
    """The SDTokenizer class of T5-XXL as FLUX.1 uses it: filled up to 256 tokens, never cut."""
    return comfy.text_encoders.flux.T5XXLTokenizer


def t5_tokenizer():
    """FLUX.1's T5 tokenizer, with no folder of embeddings."""
    return t5_tokenizer_class()()
