"""Which models are FLUX.1, and the error message for any other model. Imports ComfyUI.

FLUX.1 (dev, schnell, Krea, Fill, Canny, Depth, Kontext) reads CLIP-L's vector and T5's tokens, and each block has its
own modulation. ComfyUI derives related models from the same class, and HunyuanVideo's parameters have the same names,
so no single attribute identifies FLUX.1. All nodes use the checks in this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .compat.flux_model import (
    Chroma,
    ChromaRadiance,
    Flux,
    Flux2,
    FluxBase,
    FluxParams,
    HunyuanVideo,
    LongCatImage,
    patched_shape,
    transformer_config,
    transformer_of,
)
from .compat.patches import base_model
from .keys import CONCAT_LATENT

# Related models that share classes or parameter names with FLUX.1. A subclass comes before its parent.
RELATIVES = (
    (Flux2, "Flux.2"),
    (LongCatImage, "LongCat-Image"),
    (ChromaRadiance, "Chroma Radiance"),
    (Chroma, "Chroma"),
    (HunyuanVideo, "HunyuanVideo"),
)
EXPECTED = (
    "expected FLUX.1 (dev, schnell, Krea, Fill, Canny, Depth or Kontext), which reads CLIP-L's vector and T5's tokens"
)
IMG_IN = "diffusion_model.img_in.weight"


def flux1(model) -> FluxParams | None:
    """FluxParams (sizes) of a MODEL that is FLUX.1 with ComfyUI's own transformer; None for any other MODEL."""
    base = base_model(model)
    if not isinstance(base, FluxBase) or isinstance(base, tuple(kind for kind, _ in RELATIVES)):
        return None
    flux = transformer_of(model)
    # LongCat and Ovis have no vec, and Flux.2 has one modulation for all blocks, whatever class they are loaded as.
    own = isinstance(flux, Flux) and flux.params.vec_in_dim is not None and not flux.params.global_modulation
    return flux.params if own else None


def is_wrapped(model) -> bool:
    """Whether a MODEL is ComfyUI's FLUX.1 around another pack's transformer: it can sample, but exposes no blocks."""
    return type(base_model(model)) is FluxBase and not isinstance(transformer_of(model), Flux)


def require_flux1(model, node: str, wrapped: bool = False) -> None:
    """Raises ValueError, with the node's name `node` in the message, for a MODEL that is not FLUX.1.

    `wrapped` also accepts FLUX.1 with another pack's transformer (nunchaku), for nodes that only evaluate the model
    and access none of its blocks.
    """
    if flux1(model) is not None or (wrapped and is_wrapped(model)):
        return
    fix = "Load one with ComfyUI's own loaders, or as GGUF."
    raise ValueError(f"{node}: got {family(model)}, {EXPECTED}. {fix}")


def family(model) -> str:
    """What a MODEL is, in words for a message."""
    if flux1(model) is not None:
        return "FLUX.1"
    base = base_model(model)
    if is_wrapped(model):
        return f"a wrapped model ({type(transformer_of(model)).__name__}, as nunchaku's are) that exposes no blocks"
    known = next((name for kind, name in RELATIVES if isinstance(base, kind)), None)
    if known is None and isinstance(base, FluxBase):
        known = "a model related to FLUX.1 that has no CLIP vector (such as Ovis-Image)"
    return known or f"a model of {type(base).__name__}"


def require_picture(model, extras: Mapping[str, Any], node: str) -> None:
    """Raises ValueError if a model reads a picture in addition to its latent and a node's `like` provides none."""
    if needs_picture(model) and extras.get(CONCAT_LATENT) is None:
        raise ValueError(
            f"{node}: this model reads a picture in addition to its latent (Fill, Canny, Depth), and got none. "
            "Connect the CONDITIONING that holds the picture to `like`: from InpaintModelConditioning for Fill, from "
            "InstructPixToPixConditioning for Canny and Depth."
        )


def require_plane(samples, node: str) -> None:
    """Raises ValueError, with the node's name, for a latent that is not [B, C, H, W], which Flux.forward expects."""
    if samples.ndim != 4:
        raise ValueError(
            f"{node}: got a latent of shape {list(samples.shape)}, expected [batch, 16, height, width]. This latent is "
            "for a model of video, sound or several layers. Use EmptySD3LatentImage, or encode a picture with FLUX.1's "
            "own VAE."
        )


def needs_picture(model) -> bool:
    """Whether FLUX.1 reads a picture in addition to its latent (Fill, Canny, Depth), as comfy/model_base.py does it."""
    config = transformer_config(model)
    try:
        flux = transformer_of(model)
        # Black Forest Labs' control LoRAs widen img_in, but only once the weights are loaded.
        shape = patched_shape(model, IMG_IN, flux.img_in.weight)
        channels = shape[1] // flux.patch_size**2
    except AttributeError:  # another pack's transformer, without accessible weights
        channels = config["in_channels"]
    return channels > config["out_channels"]
