"""LATENT -> IMAGE with any VAE, and whether it was decoded in tiles. Imports ComfyUI."""

from __future__ import annotations

import copy

from torch import Tensor

from ..compat.autoencoders import tiled_decoders
from ..keys import SAMPLES


def decode(vae, samples: dict) -> tuple[Tensor, bool]:
    """LATENT -> (pixels [B, H, W, 3] in 0..1, whether they were decoded in tiles because memory ran out).

    Raises ValueError for no VAE.
    """
    if vae is None:
        raise ValueError("VAE Decode: no VAE is connected. Connect VAELoader (for FLUX.1: ae.safetensors).")
    latent = samples[SAMPLES]
    if latent.is_nested:
        latent = latent.unbind()[0]
    tiled = False

    def watched(method):
        def call(*args, **kwargs):
            nonlocal tiled
            tiled = True
            return method(*args, **kwargs)

        return call

    watching = copy.copy(vae)  # a shallow copy: the given VAE is not changed
    for name in tiled_decoders(vae):
        setattr(watching, name, watched(getattr(vae, name)))
    pixels = watching.decode(latent)
    return pixels.reshape(-1, *pixels.shape[-3:]), tiled  # a video VAE's frames become a batch
