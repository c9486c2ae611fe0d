"""The noise schedule of the official FLUX.1 code. Pure torch.

Source: black-forest-labs/flux, src/flux/sampling.py (get_schedule, time_shift, get_lin_function): timesteps evenly
spaced from 1 to 0, shifted towards noise; the shift grows with the picture.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..flux1_sizes import MU_LINE, PATCH

FIXED_MU = MU_LINE[1][1]  # ComfyUI's mu for FLUX.1-dev at every size; BFL's only at 1024 x 1024


def image_tokens(latent_height: int, latent_width: int) -> int:
    """The number of image tokens of a latent; odd sides are padded to whole tokens."""
    return math.ceil(latent_height / PATCH) * math.ceil(latent_width / PATCH)


def official_mu(tokens: int) -> float:
    """BFL's mu for a number of image tokens: linear through (256, 0.5) and (4096, 1.15); get_lin_function."""
    (x1, y1), (x2, y2) = MU_LINE
    slope = (y2 - y1) / (x2 - x1)
    return slope * tokens + (y1 - slope * x1)


def flux_sigmas(steps: int, mu: float | None) -> Tensor:
    """Sigmas [steps + 1] from 1 to 0: e^mu / (e^mu + 1/t - 1) for evenly spaced t; t if `mu` is None (schnell)."""
    t = torch.linspace(1, 0, steps + 1)
    return t if mu is None else math.exp(mu) / (math.exp(mu) + (1 / t - 1))


def denoised(sigmas_of, steps: int, denoise: float) -> Tensor:
    """The last `steps` + 1 sigmas of a schedule with steps / denoise steps, as ComfyUI does it; empty for denoise 0.

    `sigmas_of` is a function: steps -> sigmas [steps + 1]. Raises ValueError for NaN, which an API prompt may hold.
    """
    if math.isnan(denoise):
        raise ValueError("`denoise` is nan, expected a number from 0 to 1.")
    if denoise <= 0.0:
        return torch.FloatTensor([])
    if denoise > 0.9999:
        return sigmas_of(steps)
    return sigmas_of(int(steps / denoise))[-(steps + 1) :]
