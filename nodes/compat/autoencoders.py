"""VAE objects. Imports ComfyUI."""

from __future__ import annotations

# For isinstance: what VAE sockets carry.
from comfy.sd import VAE

__all__ = ["VAE", "tiled_decoders"]

# Those in which VAE.decode goes on by itself when memory runs out. `_decode_tiled_owned` came with ComfyUI 0.27.
_TILED = ("decode_tiled_", "_decode_tiled_owned", "decode_tiled_3d")


def tiled_decoders(vae: VAE) -> list[str]:
    """The names of the methods in which a VAE decodes in tiles."""
    return [name for name in _TILED if hasattr(vae, name)]
