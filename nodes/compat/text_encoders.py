"""CLIP objects, text encoders and tokenizers. Imports ComfyUI."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.text_encoders.flux
import comfy.text_encoders.sd3_clip
import comfy.utils

# For isinstance and annotations: the values of CLIP sockets.
from comfy.sd import CLIP

# As base classes: a CLIP's model with one encoder, and its tokenizer. A single T5 for FLUX.1 is derived from them.
from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer, SDClipModel

# As base classes and for annotations: T5 itself, and T5-XXL as an encoder of a CLIP.
from comfy.text_encoders.sd3_clip import T5XXLModel
from comfy.text_encoders.t5 import T5
from torch import Tensor

from ..flux1_sizes import CLIP_POSITIONS

__all__ = ["CLIP", "T5", "SD1ClipModel", "SD1Tokenizer", "SDClipModel", "T5XXLModel", "build_clip",
           "clip_l_tokenizer", "count_parameters", "dtypes_of", "empty_tokens", "encoder_of", "encoders_of", "hooks_of",
           "is_clip", "layer_of", "model_of", "patcher_of", "put_transformer", "read_unmasked", "t5_kind",
           "t5_tokenizer", "t5_tokenizer_class", "tokenizer_name", "tokenizer_of", "tokenizer_options",
           "transformer_of", "with_model"]  # fmt: skip


def build_clip(tokenizer: type, model: type, weights: list[dict], options: dict, **settings) -> CLIP:
    """A CLIP from a tokenizer class and a model class, loaded with the state dicts `weights`.

    `options` are its model_options, `settings` further arguments of CLIP: embedding_directory, tokenizer_data,
    disable_dynamic.
    """
    target = comfy.supported_models_base.ClipTarget(tokenizer, model)
    parameters = sum(map(count_parameters, weights))
    return comfy.sd.CLIP(target, state_dict=weights, parameters=parameters, model_options=options, **settings)


def count_parameters(weights: Mapping[str, Tensor]) -> int:
    """Number of parameters in a state dict."""
    return comfy.utils.calculate_parameters(weights)


def t5_kind(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """`dtype_t5`, the dtype of T5-XXL weights, and `t5_quantization_metadata` if they are quantised."""
    return comfy.text_encoders.sd3_clip.t5_xxl_detect(weights)


def empty_tokens(special: Mapping[str, Any], length: int) -> list:
    """The tokens of an empty prompt, relative to which prompt weights act."""
    return comfy.sd1_clip.gen_empty_tokens(special, length)


def clip_l_tokenizer(positions: int = CLIP_POSITIONS):
    """CLIP-L's SDTokenizer with this many positions (77; Long-CLIP: 248)."""
    return comfy.sd1_clip.SD1Tokenizer(tokenizer_data={"clip_l_max_length": positions}).clip_l


def t5_tokenizer_class() -> type:
    """The SDTokenizer class for FLUX.1's T5-XXL: pads to 256 tokens, never truncates."""
    return comfy.text_encoders.flux.T5XXLTokenizer


def t5_tokenizer():
    """FLUX.1's T5 tokenizer, without a folder of textual inversions."""
    return t5_tokenizer_class()()


# ---- what a CLIP holds


def patcher_of(clip: CLIP):
    """The ModelPatcher of a CLIP's model."""
    return clip.patcher


def model_of(clip: CLIP):
    """What a CLIP encodes with: a module of all its encoders."""
    return clip.cond_stage_model


def is_clip(value) -> bool:
    """Whether a value can encode: a CLIP, or another pack's object that serves as one."""
    return hasattr(value, "cond_stage_model")


def encoder_of(clip: CLIP, name: str):
    """One encoder of a CLIP, such as "clip_l" or "t5xxl"; None where it has no such."""
    return getattr(clip.cond_stage_model, name, None)


def encoders_of(clip: CLIP) -> Iterator:
    """All encoders of a CLIP."""
    return clip.cond_stage_model.children()


def transformer_of(encoder: SDClipModel):
    """The Hugging Face model's counterpart in an encoder, such as T5."""
    return encoder.transformer


def put_transformer(encoder: SDClipModel, transformer) -> None:
    """Exchanges it, for every CLIP that shares the encoder."""
    encoder.transformer = transformer


def dtypes_of(clip: CLIP) -> set:
    """The types in which a CLIP's encoders have their weights."""
    return clip.cond_stage_model.dtypes


def layer_of(clip: CLIP) -> int | None:
    """The layer that CLIP Set Last Layer has chosen; None where it has not run."""
    return clip.layer_idx


def hooks_of(clip: CLIP):
    """The hooks that Set CLIP Hooks has put on a CLIP; None without."""
    return clip.apply_hooks_to_conds


def tokenizer_options(clip: CLIP) -> Mapping[str, Any]:
    """What nodes (T5TokenizerOptions) have set of a CLIP's tokenizers."""
    return clip.tokenizer_options


def tokenizer_of(clip: CLIP, name: str):
    """One encoder's SDTokenizer in a CLIP, or None where it has none for it."""
    # Single-encoder tokenizers of other models have the same thing under a longer name.
    return getattr(clip.tokenizer, name, None) or getattr(clip.tokenizer, f"clip_{name}", None)


def tokenizer_name(clip: CLIP) -> str:
    """The class of a CLIP's tokenizer, for messages."""
    return type(clip.tokenizer).__name__


# ---- one encoder by itself


def with_model(clip: CLIP, model, load: Callable[[], Any]) -> CLIP:
    """A stand-in for a CLIP that encodes with another model; `load()` makes that usable and gives its patcher.

    It has to have `encode_token_weights`, `reset_clip_options` and `set_clip_options`.
    """
    other = copy.copy(clip)
    other.cond_stage_model = model
    other.load_model = lambda tokens={}: load()
    return other


def read_unmasked(encoder: SDClipModel) -> SDClipModel:
    """A shallow copy of an encoder, on the same weights, whose rows are all read, and weighted as ComfyUI does it."""
    plain = copy.copy(encoder)
    plain.enable_attention_masks = plain.return_attention_masks = plain.zero_out_masked = False
    plain.gen_empty_tokens = empty_tokens  # weights are against it; PixArt's has no end
    return plain
