"""Identifies a text encoder's file, and derives the encoder's config, from the shapes of its tensors. Pure.

A single file has no config, so depth, width and number of heads come from the tensors: T5's heads from its relative
position bias, CLIP's from the width, because every published CLIP text model has a head width of 64. Key names are
those of Hugging Face's T5EncoderModel and CLIPTextModel, which ComfyUI's text encoder files use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ... import flux1_sizes
from ...quoting import shorten
from .shapes import BadFile, Dims, Shapes, fitted

CLIP_HEAD = 64  # head width of CLIP-L, Long-CLIP, CLIP-H and CLIP-G
CLIP_WORDS = 49408  # vocabulary of CLIP's tokenizer; ComfyUI's embedding table has the same number of rows
CLIP_POSITIONS = 3  # the minimum: start, one token, end
T5_WORDS = 32100  # vocabulary of T5's tokenizer; files have some more rows
T5_BUCKETS = 32  # relative position buckets of every published T5 and of ComfyUI's
CLIP_L_DEPTH = 22  # at most; CLIP-H has 23 or 24 layers, CLIP-G 32, as in ComfyUI's detect_te_model

_CLIP = "text_model."
_CLIP_LAYER = _CLIP + "encoder.layers.{}."
_T5_BLOCK = "encoder.block.{}."
_Names = dict[str, tuple[str, ...]]  # module -> the names of its weight's dimensions
MOST_BLOCKS = 1000  # ten times as many as the largest text encoders have
_BEYOND = re.compile(r"(?:text_model\.encoder\.layers|encoder\.block)\.[0-9]{4,}\.")
_T5_BIAS = _T5_BLOCK + "layer.0.SelfAttention.relative_attention_bias.weight"


@dataclass(frozen=True)
class FileLayout:
    """One kind of text encoder.

    `fits` recognises its files. `dims` names the dimensions of each required tensor. `wrong` describes sizes that no
    such encoder can have, None if they are valid. `config` is the config for ComfyUI's class.
    """

    name: str
    fits: Callable[[Shapes], bool]
    dims: Callable[[Shapes], Dims]
    wrong: Callable[[Mapping[str, int]], str | None]
    config: Callable[[Shapes], dict]


def check(shapes: Shapes, layout: FileLayout, filename: str) -> dict:
    """The config for ComfyUI's class of this encoder, from the shapes of a file's tensors.

    Raises BadFile if the file is another kind of model, or tensors are missing or have inconsistent shapes.
    """
    if not layout.fits(shapes):
        raise BadFile(
            f"{filename} is not a {layout.name} file: found {describe(shapes)}. Choose a {layout.name} text encoder "
            "(in ComfyUI/models/text_encoders)."
        )
    if beyond := next((key for key in shapes if _BEYOND.match(key)), None):
        raise BadFile(
            f"{filename} has a tensor named {shorten(beyond, 120)}, expected the blocks of a {layout.name} encoder, "
            f"numbered from 0 to at most {MOST_BLOCKS - 1}. The file is damaged, or of another kind; download it again."
        )
    dims = layout.dims(shapes)
    missing = [key for key in dims if key not in shapes]
    if missing:
        raise BadFile(
            f"{filename} is an incomplete {layout.name} file: {len(missing)} tensors are missing, the first is "
            f"{missing[0]}. It may be one part of a split checkpoint, or truncated; use the complete file."
        )
    if wrong := layout.wrong(fitted(shapes, dims, filename)):
        raise BadFile(f"{filename} is not a valid {layout.name} file: {wrong}. Download a published {layout.name}.")
    return layout.config(shapes)


def describe(shapes: Shapes) -> str:
    """What kind of model file it is, in words for an error message."""
    for words, fits in _KINDS:
        if fits(shapes):
            return words(shapes) if callable(words) else words
    if not shapes:
        return "no tensors at all"
    some = ", ".join(shorten(name, 60) for name in sorted(shapes)[:3])
    return f"{len(shapes)} tensors of an unknown kind ({some}, ...)"


def _count(shapes: Shapes, pattern: str) -> int:
    """The number of blocks that match a pattern like 'encoder.block.{}.': the highest index plus one.

    Indices of more than three digits are ignored, because lists of that size would fill the memory.
    """
    number = re.compile(re.escape(pattern).replace(r"\{\}", r"([0-9]{1,3})"))
    return 1 + max((int(match[1]) for key in shapes if (match := number.match(key))), default=-1)


def _starts(*prefixes: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(key.startswith(prefixes) for key in shapes)


def _is_clip(shapes: Shapes) -> bool:
    return _CLIP_LAYER.format(0) + "mlp.fc1.weight" in shapes


def _is_clip_l(shapes: Shapes) -> bool:
    return _is_clip(shapes) and _count(shapes, _CLIP_LAYER) <= CLIP_L_DEPTH


def _clip_dims(shapes: Shapes) -> Dims:
    parts: _Names = {f"self_attn.{name}_proj": ("width", "width") for name in ("q", "k", "v", "out")}
    parts |= {"layer_norm1": ("width",), "layer_norm2": ("width",)}
    parts |= {"mlp.fc1": ("ff", "width"), "mlp.fc2": ("width", "ff")}
    found: dict[str, tuple[str | int, ...]] = {
        f"{_CLIP}embeddings.token_embedding.weight": (CLIP_WORDS, "width"),
        f"{_CLIP}embeddings.position_embedding.weight": ("positions", "width"),
    }
    layers = [_CLIP_LAYER.format(i) for i in range(_count(shapes, _CLIP_LAYER))]
    modules = {layer + part: names for layer in layers for part, names in parts.items()}
    for module, names in (modules | {f"{_CLIP}final_layer_norm": ("width",)}).items():
        found |= {f"{module}.weight": names, f"{module}.bias": names[:1]}
    return found


def _clip_wrong(sizes: Mapping[str, int]) -> str | None:
    if sizes["width"] % _clip_heads(sizes["width"]):
        return f"its width of {sizes['width']} is not a multiple of {CLIP_HEAD}, the head width"
    if sizes["positions"] < CLIP_POSITIONS:
        short, long = flux1_sizes.CLIP_POSITIONS, flux1_sizes.LONG_CLIP_POSITIONS
        return f"it has {sizes['positions']} positions, expected {short} (Long-CLIP: {long})"
    return None


def _clip_heads(width: int) -> int:
    return max(1, width // CLIP_HEAD)


def _clip_config(shapes: Shapes) -> dict:
    vocab, width = shapes[_CLIP + "embeddings.token_embedding.weight"]
    return {
        "hidden_size": width,
        "num_attention_heads": _clip_heads(width),
        "num_hidden_layers": _count(shapes, _CLIP_LAYER),
        "intermediate_size": shapes[_CLIP_LAYER.format(0) + "mlp.fc1.bias"][0],
        "max_position_embeddings": shapes[_CLIP + "embeddings.position_embedding.weight"][0],
        "projection_dim": width,
        "vocab_size": vocab,
    }


def _is_any_t5(shapes: Shapes) -> bool:
    return _T5_BLOCK.format(0) + "layer.0.SelfAttention.q.weight" in shapes


def _is_umt5(shapes: Shapes) -> bool:
    # UMT5 has a position bias in every block, T5 only in the first.
    return _is_any_t5(shapes) and _T5_BIAS.format(1) in shapes


def _t5_gated(shapes: Shapes) -> bool:
    # Either one suffices, so that in a file without the other the right tensor is reported as missing.
    return any(key.endswith((".wi_0.weight", ".wi_1.weight")) for key in shapes)


def _t5_dims(shapes: Shapes) -> Dims:
    dense = ["wi_0", "wi_1"] if _t5_gated(shapes) else ["wi"]
    parts: _Names = {f"layer.0.SelfAttention.{name}": ("inner", "width") for name in "qkv"}
    parts |= {"layer.0.SelfAttention.o": ("width", "inner")}
    parts |= {f"layer.1.DenseReluDense.{name}": ("ff", "width") for name in dense}
    parts |= {"layer.1.DenseReluDense.wo": ("width", "ff")}
    parts |= {"layer.0.layer_norm": ("width",), "layer.1.layer_norm": ("width",)}
    blocks = [_T5_BLOCK.format(i) for i in range(_count(shapes, _T5_BLOCK))]
    return {
        "shared.weight": ("words", "width"),
        _T5_BIAS.format(0): (T5_BUCKETS, "heads"),
        "encoder.final_layer_norm.weight": ("width",),
        **{f"{block}{part}.weight": names for block in blocks for part, names in parts.items()},
    }


def _t5_wrong(sizes: Mapping[str, int]) -> str | None:
    if sizes["inner"] % sizes["heads"]:
        return f"its attention width of {sizes['inner']} is not a multiple of its {sizes['heads']} heads"
    if sizes["words"] < T5_WORDS:
        return f"it has embeddings for {sizes['words']:,} tokens, but T5's tokenizer has {T5_WORDS:,}"
    return None


def _t5_config(shapes: Shapes) -> dict:
    # Only the number of rows of a matrix is used: quantised layouts pack the columns.
    heads, gated = shapes[_T5_BIAS.format(0)][1], _t5_gated(shapes)
    first_dense = _T5_BLOCK.format(0) + f"layer.1.DenseReluDense.{'wi_0' if gated else 'wi'}.weight"
    return {
        "d_model": shapes["encoder.final_layer_norm.weight"][0],
        "d_kv": shapes[_T5_BLOCK.format(0) + "layer.0.SelfAttention.q.weight"][0] // heads,
        "d_ff": shapes[first_dense][0],
        "num_heads": heads,
        "num_layers": _count(shapes, _T5_BLOCK),
        "is_gated_act": gated,
        "dense_act_fn": "gelu_pytorch_tanh" if gated else "relu",
        "vocab_size": shapes["shared.weight"][0],
    }


def _clip_words(shapes: Shapes) -> str:
    depth = _count(shapes, _CLIP_LAYER)
    name = "CLIP-L" if depth <= CLIP_L_DEPTH else "CLIP-G" if depth > 30 else "CLIP-H"
    return f"a {name} text encoder of {depth} layers"


def _t5_words(shapes: Shapes) -> str:
    return f"a T5 encoder of {_count(shapes, _T5_BLOCK)} blocks"


CLIP_L = FileLayout("CLIP-L", _is_clip_l, _clip_dims, _clip_wrong, _clip_config)
T5 = FileLayout("T5", lambda shapes: _is_any_t5(shapes) and not _is_umt5(shapes), _t5_dims, _t5_wrong, _t5_config)

# The first match counts. A whole checkpoint comes before its parts, because it contains their keys with a prefix.
_KINDS: Iterable[tuple[str | Callable[[Shapes], str], Callable[[Shapes], bool]]] = (
    (
        "a whole checkpoint (load it with CheckpointLoaderSimple, whose CLIP works here)",
        _starts("model.diffusion_model."),
    ),
    ("a Flux transformer (load it with UNETLoader)", _starts("double_blocks.", "transformer_blocks.")),
    (_clip_words, _is_clip),
    ("a UMT5 encoder, which Wan uses", _is_umt5),
    (_t5_words, _is_any_t5),
    ("an OpenCLIP text encoder", _starts("transformer.resblocks.")),
    ("a CLIP vision model", _starts("vision_model.")),
    ("a VAE", _starts("decoder.", "encoder.conv_in", "taesd_decoder.")),
    ("a LoRA", lambda shapes: any("lora_" in key or ".lora" in key for key in shapes)),
    ("a ControlNet", _starts("controlnet_", "control_model.")),
    ("a language model", _starts("model.layers.")),
)
