"""Describes a value that flows between nodes: its shape, and its meaning for FLUX.1. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ...compat.autoencoders import VAE
from ...compat.guiders import model_of
from ...compat.patches import ModelPatcher
from ...compat.sampling import CFGGuider
from ...compat.text_encoders import CLIP, encoder_of
from ...compat.text_encoders import model_of as model_of_clip
from ...condition.controls import TITLES
from ...family import family, flux1
from ...flux1_sizes import PATCH, PIXEL
from ...keys import CLIP_L, GUIDANCE, POOLED, SAMPLES, T5XXL
from ...quoting import shorten
from ...sample.schedule import image_tokens
from ...streams import ClipVec, Stream, T5Text
from .. import repainted
from ..latent_mask import mask_of
from ..percent import percent

MOST_SIGMAS = 6  # shown of a schedule


def described(value: Any) -> str:
    """A description of one or two lines; for an unknown value its Python type."""
    for kind, describe in KINDS:
        if isinstance(value, kind):
            return describe(value)
    return f"of type {type(value).__name__}"


def _shape(tensor: Tensor) -> str:
    return f"[{', '.join(map(str, tensor.shape))}]"


def _stream(stream: Stream) -> str:
    vec = isinstance(stream, ClipVec)
    name, means = ("vec", "one vector for the whole prompt") if vec else ("txt", "one embedding for each token")
    lines = [f"{name} {_shape(span.tensor)}: {means}" for span in stream.spans]
    controls = [TITLES[type(each)] for span in stream.spans for each in span.controls]
    return "; ".join([*lines, *([f"controls: {', '.join(controls)}"] if controls else [])])


def _entry(entry: list) -> str:
    txt, extras = entry
    parts = [f"txt {_shape(txt)}"]
    if isinstance(extras.get(POOLED), Tensor):
        parts.append(f"vec {_shape(extras[POOLED])}")
    if extras.get(GUIDANCE) is not None:
        parts.append(f"guidance {extras[GUIDANCE]:g}")
    return ", ".join(parts)


def _list(value: list | tuple) -> str:
    if value and all(isinstance(each, (list, tuple)) and len(each) == 2 and isinstance(each[0], Tensor)
                     and isinstance(each[1], Mapping) for each in value):  # fmt: skip
        return "; ".join(map(_entry, value))
    return f"{len(value)} values"


def _latent(latent: Mapping) -> str:
    samples = latent.get(SAMPLES)
    if not isinstance(samples, Tensor):
        return f"keys: {', '.join(map(str, latent))}"
    text = f"{_shape(samples)}: {samples.shape[1]} channels, 1/{PIXEL} of the picture's sides"
    if samples.ndim == 4:
        height, width = samples.shape[2:]
        text += f"; img: {image_tokens(height, width)} tokens, one for each {PATCH} x {PATCH} of it"
        shares = repainted.share(mask_of(latent, samples), len(samples))
        text += "" if shares is None else f"; noise_mask: {percent(float(shares.mean()))} is repainted"
    return text


def _tensor(tensor: Tensor) -> str:
    if tensor.ndim == 1 and tensor.is_floating_point():
        values = tensor.tolist()
        shown = ", ".join(f"{each:.3g}" for each in values[:MOST_SIGMAS])
        more = f" ... {values[-1]:.3g}" if len(values) > MOST_SIGMAS else ""
        return f"{len(values) - 1} steps, sigma {shown}{more}"
    if tensor.ndim == 4 and tensor.shape[-1] in (1, 3, 4):
        count, height, width, _ = tensor.shape
        return f"{_shape(tensor)}: {count} of {width} x {height} pixels"
    return _shape(tensor)


def _model(model) -> str:
    params = flux1(model)
    if params is None:
        return f"{family(model)}, not FLUX.1 in ComfyUI's own blocks"
    distilled = "with guidance_in" if params.guidance_embed else "without guidance_in"
    return (f"{params.depth} double and {params.depth_single_blocks} single blocks, width {params.hidden_size}, "
            f"{params.num_heads} {'head' if params.num_heads == 1 else 'heads'}, {distilled}; "
            f"reads vec of width {params.vec_in_dim} and txt of width {params.context_in_dim}")  # fmt: skip


def _clip(clip: CLIP) -> str:
    held = [name for name, key in (("CLIP-L", CLIP_L), ("T5", T5XXL)) if encoder_of(clip, key) is not None]
    return f"text encoders: {' and '.join(held) or type(model_of_clip(clip)).__name__}"


def _vae(vae: VAE) -> str:
    return f"autoencoder: {vae.latent_channels} channels, a latent's side is 1/{vae.spacial_compression_decode()}"


def _plain(value: Any) -> str:
    return shorten(repr(value), 300)


KINDS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    ((ClipVec, T5Text), _stream), (Tensor, _tensor), (ModelPatcher, _model),
    (CLIP, _clip), (VAE, _vae), (Mapping, _latent), ((list, tuple), _list),
    (CFGGuider, lambda guider: f"{type(guider).__name__} of {_model(model_of(guider))}"),
    ((str, int, float, bool), _plain),
)  # fmt: skip
