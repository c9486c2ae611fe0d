"""The noise schedule of the official FLUX.1 code. Pure.

Source: black-forest-labs/flux, src/flux/sampling.py (get_schedule, time_shift, get_lin_function): timesteps run evenly
from 1 to 0 and are shifted towards noise, the more the larger the picture.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..flux1_sizes import MU_LINE, PATCH

FIXED_MU = MU_LINE[1][1]  # ComfyUI's shift for FLUX.1-dev at every size; official only at 1024 x 1024


def image_tokens(latent_height: int, latent_width: int) -> int:
    """How many image tokens a latent gives; odd sides are padded to whole tokens."""
    return math.ceil(latent_height / PATCH) * math.ceil(latent_width / PATCH)


def official_mu(tokens: int) -> float:
    """The shift's strength: a line through (256 tokens, 0.5) and (4096 tokens, 1.15)."""
    (x1, y1), (x2, y2) = MU_LINE
    slope = (y2 - y1) / (x2 - x1)
    return slope * tokens + (y1 - slope * x1)


def flux_sigmas(steps: int, mu: float | None) -> Tensor:
    """sigma [steps + 1] from 1 to 0: e^mu / (e^mu + 1/t - 1) for even t; with `mu` None t itself (schnell)."""
    t = torch.linspace(1, 0, steps + 1)
    return t if mu is None else math.exp(mu) / (math.exp(mu) + (1 / t - 1))


def denoised(sigmas_of, steps: int, denoise: float) -> Tensor:
    """The last `steps` steps of a longer schedule, as ComfyUI's samplers read `denoise`; none at all for denoise 0.

    `sigmas_of` gives the schedule for a number of steps.
    """
    if denoise <= 0.0:
        return torch.FloatTensor([])
    if denoise > 0.9999:
        return sigmas_of(steps)
    return sigmas_of(int(steps / denoise))[-(steps + 1) :]
