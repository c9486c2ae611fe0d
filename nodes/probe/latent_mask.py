"""The mask that ComfyUI's sampler makes of a LATENT's noise_mask. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..compat.sampling import noise_mask

FUNCTION = "denoise_mask_function"  # in model_options: what changes the mask with sigma


def mask_of(latent: Mapping[str, Any], samples: Tensor) -> Tensor | None:
    """At the size of `samples` [B, C, h, w], on their device; None for a LATENT that is repainted altogether."""
    mask = latent.get("noise_mask")
    if mask is None:
        return None
    return noise_mask(mask, samples).float()
