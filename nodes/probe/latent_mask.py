"""The mask that ComfyUI's sampler makes of a LATENT's noise_mask. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..compat.sampling import noise_mask
from ..keys import NOISE_MASK


def mask_of(latent: Mapping[str, Any], samples: Tensor) -> Tensor | None:
    """The mask, resized to `samples` [B, C, h, w] and on their device; None for a LATENT without a noise_mask."""
    mask = latent.get(NOISE_MASK)
    if mask is None:
        return None
    return noise_mask(mask, samples).float()
