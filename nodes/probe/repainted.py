"""How probes measure a picture of which only a part is repainted (inpainting). Pure torch.

A LATENT's noise_mask m is 1 where the picture is repainted and 0 where it is kept. After each evaluation ComfyUI's
sampler goes on with (comfy/samplers.py, KSamplerX0Inpaint)

    m * x0 + (1 - m) * kept picture

so of the model's velocity v = (x - x0) / sigma only m * v reaches the picture. Probes of velocities therefore measure
m * v: the length of a difference d is sqrt(sum (m d)^2), and inner products, shares and sums of parts hold for m * v as
they hold for v. A mean over places is sum (m v)^2 / sum m^2.

A finished picture has the mask applied already: differences count unweighted where m > 0, and not at all elsewhere.

Without a mask all results are unchanged bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .percent import percent

NOTHING_REPAINTED = "Nothing is repainted: the LATENT's noise_mask keeps the whole picture, so no prompt can change it."


class Repainted:
    """The mask of one run, at each moment the one in use.

    `mask` [B, C, h, w] is the LATENT's noise_mask at the latent's size, None for a run without one. If a node changes
    it with sigma (Differential Diffusion), that node's function is called through `noting`, which stores its last
    result; it is called no more often than without a probe.
    """

    def __init__(self, mask: Tensor | None = None):
        self.mask = mask

    def noting(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """A `denoise_mask_function` that returns the result of `function` and stores it in `mask`."""

        def noted(*args, **kwargs) -> Tensor:
            self.mask = function(*args, **kwargs)
            return self.mask

        return noted


def counted(values: Tensor, mask: Tensor | None) -> Tensor:
    """The part of a velocity [B, C, h, w] that reaches the picture: m * v."""
    return values if mask is None else values * mask.to(values)


def mean_square(lengths: Tensor, mask: Tensor | None) -> Tensor:
    """[B]: sum |m v|^2 / sum m^2 over places, from the lengths |m v| [B, h, w]; 0 where nothing is repainted."""
    squares = lengths.square().flatten(1)
    if mask is None:
        return squares.mean(1)
    places = places_of(mask).to(lengths).square().flatten(1).sum(1)
    return squares.sum(1) / torch.where(places > 0, places, 1.0)


def places_of(mask: Tensor) -> Tensor:
    """A mask [B, C, h, w] with equal channels -> [B, h, w]."""
    return mask.mean(1)


def share(mask: Tensor | None, pictures: int) -> Tensor | None:
    """[B]: the repainted share of each picture, the mean of m; None without a mask."""
    if mask is None:
        return None
    return places_of(mask.float()).flatten(1).mean(1).expand(pictures)


def finished(pictures: Tensor, mask: Tensor | None) -> Tensor:
    """Finished latents [..., C, h, w] or pixels [..., H, W, 3], set to 0 where their mask [1, C, h, w] is 0."""
    if mask is None:
        return pictures
    where = (places_of(mask)[:1] > 0).float()  # [1, h, w]
    if pictures.shape[-3:] != mask.shape[1:]:  # pixels
        where = interpolate(where[None], pictures.shape[-3:-1], mode="nearest")[0].movedim(0, -1)  # [H, W, 1]
    return pictures * where.to(pictures)


def repainted_sentence(shares: Sequence[float] | None) -> str:
    """Which share of the picture the numbers cover, as a sentence: the mean of `shares`; "" without a mask."""
    if shares is None:
        return ""
    part = mean(shares)
    if not part:
        return NOTHING_REPAINTED
    return f"Measured over the repainted {percent(part)} of the picture."
