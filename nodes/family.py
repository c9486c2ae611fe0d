"""Which models this pack is for, and what stands in front of it where it is another one. Imports ComfyUI.

FLUX.1 is what reads CLIP-L's vector and T5's tokens and modulates block by block: dev, schnell, Krea, Fill, Canny,
Depth and Kontext. ComfyUI has its relatives as subclasses of one class, and HunyuanVideo's sizes have the same names,
so no single attribute tells; every node asks here.
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

# Relatives that are taken for it elsewhere. A subclass stands before its parent.
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
    """The sizes of a MODEL that is FLUX.1 in ComfyUI's own blocks, or None for any other."""
    base = base_model(model)
    if not isinstance(base, FluxBase) or isinstance(base, tuple(kind for kind, _ in RELATIVES)):
        return None
    flux = transformer_of(model)
    # LongCat and Ovis have no vec, Flux.2 has one modulation for all blocks, in whatever class they come.
    own = isinstance(flux, Flux) and flux.params.vec_in_dim is not None and not flux.params.global_modulation
    return flux.params if own else None


def is_wrapped(model) -> bool:
    """Whether a MODEL is ComfyUI's FLUX.1 around another pack's transformer: it samples, but shows no blocks."""
    return type(base_model(model)) is FluxBase and not isinstance(transformer_of(model), Flux)


def require_flux1(model, node: str, wrapped: bool = False) -> None:
    """Raises ValueError, in `node`'s name, for a MODEL that is not FLUX.1.

    With `wrapped` FLUX.1 in another pack's transformer (nunchaku) will do: for nodes that ask the model as a sampler
    does, and look at none of its blocks.
    """
    if flux1(model) is not None or (wrapped and is_wrapped(model)):
        return
    cure = "Load one with ComfyUI's own loaders, or as GGUF."
    raise ValueError(f"{node}: got {family(model)}, {EXPECTED}. {cure}")


def family(model) -> str:
    """What a MODEL is, for people."""
    if flux1(model) is not None:
        return "FLUX.1"
    base = base_model(model)
    if is_wrapped(model):
        return f"a wrapped model ({type(transformer_of(model)).__name__}; nunchaku's are such) that shows no blocks"
    known = next((name for kind, name in RELATIVES if isinstance(base, kind)), None)
    if known is None and isinstance(base, FluxBase):
        known = "a relative of FLUX.1 without CLIP's vector (Ovis-Image is one)"
    return known or f"a model of {type(base).__name__}"


def require_picture(model, extras: Mapping[str, Any], node: str) -> None:
    """Raises ValueError where a model reads a picture beside its latent and a node's `like` brings none."""
    if needs_picture(model) and extras.get(CONCAT_LATENT) is None:
        raise ValueError(
            f"{node}: this model reads a picture beside its latent (Fill, Canny, Depth), and none came. Connect the "
            "CONDITIONING that the picture is in to `like`: from InpaintModelConditioning for Fill, from "
            "InstructPixToPixConditioning for Canny and Depth."
        )


def require_plane(samples, node: str) -> None:
    """Raises ValueError, in `node`'s name, for a latent that is not [B, C, H, W]: Flux.forward unpacks just those."""
    if samples.ndim != 4:
        raise ValueError(
            f"{node}: got a latent of the shape {list(samples.shape)}, expected [batch, 16, height, width]: FLUX.1 "
            "draws pictures, and this latent is of a model for video, sound or several layers. Use "
            "EmptySD3LatentImage, or a picture through FLUX.1's own VAE."
        )


def needs_picture(model) -> bool:
    """Whether a FLUX.1 reads a picture beside its latent (Fill, Canny, Depth), as comfy/model_base.py finds it out."""
    config = transformer_config(model)
    try:
        flux = transformer_of(model)
        # Black Forest Labs' control LoRAs widen img_in, but only once the weights are loaded.
        shape = patched_shape(model, IMG_IN, flux.img_in.weight)
        channels = shape[1] // flux.patch_size**2
    except AttributeError:  # what stands for Flux shows no weights
        channels = config["in_channels"]
    return channels > config["out_channels"]
