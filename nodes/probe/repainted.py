"""What counts where only a part of a picture is repainted: the one place that says so. Pure torch.

A LATENT's noise_mask m is 1 where the picture is repainted and 0 where it is kept. After each evaluation ComfyUI's
sampler goes on with (comfy/samplers.py, KSamplerX0Inpaint)

    m * x0 + (1 - m) * kept picture

so that of what the model predicts, its velocity v = (x - x0) / sigma, the picture gets m * v. Probes of velocities
therefore measure m * v: of a difference d that is the length sqrt(sum (m d)^2), and inner products, shares and sums of
parts hold for m * v as they hold for v. A mean over places is sum (m v)^2 / sum m^2.

A finished picture has been through its mask: its differences count as they are where m > 0, and nowhere else.

Without a mask everything is as if there were none of this, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .percent import percent

NOTHING = "Nothing is repainted: the LATENT's noise_mask keeps the whole picture, so no prompt can change it."


class Repainted:
    """The mask of one run, as it is in use at each evaluation.

    `mask` [B, C, h, w] is that of the LATENT at the latent's size, None for a run without one. Where a node changes it
    with sigma (Differential Diffusion), that node's function is called through `noting`: what it gave last is the mask
    in use, and it is called no more often than without a probe.
    """

    def __init__(self, mask: Tensor | None = None):
        self.mask = mask

    def noting(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """A `denoise_mask_function` that gives what `function` gives."""

        def noted(*args, **kwargs) -> Tensor:
            self.mask = function(*args, **kwargs)
            return self.mask

        return noted


def counted(values: Tensor, mask: Tensor | None) -> Tensor:
    """What of a velocity [B, C, h, w] reaches the picture: m * v."""
    return values if mask is None else values * mask.to(values)


def mean_square(lengths: Tensor, mask: Tensor | None) -> Tensor:
    """[B]: the mean over places of |m v|^2, from those lengths [B, h, w]; 0 where nothing is repainted."""
    squares = lengths.square().flatten(1)
    if mask is None:
        return squares.mean(1)
    places = places_of(mask).to(lengths).square().flatten(1).sum(1)
    return squares.sum(1) / torch.where(places > 0, places, 1.0)


def places_of(mask: Tensor) -> Tensor:
    """[B, C, h, w], all channels alike -> [B, h, w]."""
    return mask.mean(1)


def share(mask: Tensor | None, pictures: int) -> Tensor | None:
    """[B]: how much of each picture is repainted, the mean of m; None without a mask."""
    if mask is None:
        return None
    return places_of(mask.float()).flatten(1).mean(1).expand(pictures)


def finished(pictures: Tensor, mask: Tensor | None) -> Tensor:
    """What counts of finished pictures [..., C, h, w] or [..., H, W, 3] that all had one mask [1, C, h, w].

    As they are where m > 0, and 0 elsewhere.
    """
    if mask is None:
        return pictures
    where = (places_of(mask)[:1] > 0).float()  # [1, h, w]
    if pictures.shape[-3:] != mask.shape[1:]:  # pixels
        where = interpolate(where[None], pictures.shape[-3:-1], mode="nearest")[0].movedim(0, -1)  # [H, W, 1]
    return pictures * where.to(pictures)


def told(shares: Sequence[float] | None) -> str:
    """A sentence on how much of the picture the numbers are over, of one or several shares; nothing without a mask."""
    if shares is None:
        return ""
    part = mean(shares)
    if not part:
        return NOTHING
    return f"Counted over the repainted {percent(part)} of the picture."
