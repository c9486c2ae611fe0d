"""Runs ComfyUI's sampling loop on a CONDITIONING, with any native schedule or the official one. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..compat import previews
from ..compat import sampling as core
from ..compat.patches import load_device
from ..condition.conditioning import widths
from ..condition.controls import has_controls
from ..family import flux1, require_plane
from ..keys import BATCH_INDEX, NOISE_MASK, SAMPLES
from .apply import attach
from .choices import OFFICIAL
from .schedule import denoised, flux_sigmas, image_tokens, official_mu

NAME = "MMDiT Sampler"


@dataclass(frozen=True)
class SamplingPlan:
    """The settings of a sampling run: all inputs of MMDiT Sampler but the model, the prompts and the latent."""

    seed: int
    steps: int
    sampler: str
    scheduler: str
    denoise: float = 1.0
    cfg: float = 1.0
    start_step: int = 0
    end_step: int = 10000
    add_noise: bool = True
    leftover_noise: bool = False


def sample(model, positive: list, negative: list | None, latent: dict, plan: SamplingPlan) -> dict:
    """LATENT -> LATENT, bit for bit as KSampler, or KSamplerAdvanced with start_step or end_step.

    Raises ValueError if the CONDITIONING or the latent does not fit the model, or cfg is not 1 without a negative.
    """
    _check(model, positive, negative, latent, plan)
    if has_controls(positive) or has_controls(negative or []):
        model = attach(model, plan.start_step, NAME)
    latent_image = core.fitting_latent(model, latent)
    samples = core.sample(
        model,
        _noise(latent_image, latent, plan),
        plan.steps,
        plan.cfg,
        plan.sampler,
        plan.scheduler if plan.scheduler != OFFICIAL else core.scheduler_names()[0],
        positive,
        # With cfg 1 no negative is evaluated, but ComfyUI requires one; with the positive every guider is neutral.
        positive if negative is None else negative,
        latent_image,
        denoise=plan.denoise,
        disable_noise=not plan.add_noise,
        start_step=plan.start_step,
        last_step=plan.end_step,
        force_full_denoise=not plan.leftover_noise,
        noise_mask=latent.get(NOISE_MASK),
        sigmas=official_sigmas(model, latent_image, plan) if plan.scheduler == OFFICIAL else None,
        callback=previews.step_callback(model, plan.steps),
        disable_pbar=not previews.has_console_bar(),
        seed=plan.seed,
    )
    rest = {key: value for key, value in latent.items() if not key.startswith(core.RATIO)}
    return {**rest, SAMPLES: samples}


def _check(model, positive: list, negative: list | None, latent: dict, plan: SamplingPlan) -> None:
    """Raises ValueError for inputs that would cause an error of torch during the run."""
    for name, conditioning in (("positive", positive), ("negative", negative or [])):
        check_widths(model, conditioning, name)
    if negative is None and plan.cfg != 1.0:
        raise ValueError(
            f"MMDiT Sampler: cfg is {plan.cfg} and `negative` is not connected. True CFG needs a negative prompt: "
            "connect one, or set cfg to 1. The distilled guidance of FLUX.1-dev is set in Dual Prompt."
        )
    if flux1(model) is not None:
        require_plane(latent[SAMPLES], NAME)


def _noise(latent_image: Tensor, latent: dict, plan: SamplingPlan) -> Tensor:
    if not plan.add_noise:
        return torch.zeros(latent_image.size(), dtype=latent_image.dtype, layout=latent_image.layout, device="cpu")
    return core.prepare_noise(latent_image, plan.seed, latent.get(BATCH_INDEX))


def official_sigmas(model, latent_image: Tensor, plan: SamplingPlan) -> Tensor:
    """The sigmas [steps + 1] of BFL's get_schedule for this latent's size: shifted for dev, unshifted for schnell.

    Raises ValueError for a model whose sigmas start above 1.
    """
    _, *_, height, width = latent_image.shape
    full = core.sigma_max(model)
    if full > 1.0:
        raise ValueError(
            f"MMDiT Sampler: the scheduler '{OFFICIAL}' is for FLUX.1, with sigma from 1 to 0, but this model's sigma "
            f"starts at {full:.4g}. Choose one of ComfyUI's schedulers."
        )
    params = flux1(model)
    mu = official_mu(image_tokens(height, width)) if params is None or params.guidance_embed else None
    found = noise_levels(lambda steps: flux_sigmas(steps, mu), plan.sampler, plan.steps, plan.denoise)
    return found.to(load_device(model))


def noise_levels(schedule: Callable[[int], Tensor], sampler: str, steps: int, denoise: float) -> Tensor:
    """The sigmas [steps + 1] of a run, as KSampler derives them from a schedule (steps -> sigmas [steps + 1])."""
    # For these samplers KSampler adds a step and drops the second last sigma.
    extra = core.drops_second_last_sigma(sampler)

    def sigmas_of(steps: int) -> Tensor:
        sigmas = schedule(steps + extra)
        return torch.cat([sigmas[:-2], sigmas[-1:]]) if extra else sigmas

    return denoised(sigmas_of, steps, denoise)


def check_widths(model, conditioning: list, name: str, node: str = NAME) -> None:
    """Raises ValueError if the widths of a CONDITIONING's vec and txt are not those that this FLUX.1 model expects."""
    params = flux1(model)
    if params is None:
        return
    for vec, txt in widths(conditioning):
        if vec not in (0, params.vec_in_dim) or txt != params.context_in_dim:
            raise ValueError(
                f"{node}: `{name}` has a CLIP vector of width {vec} and T5 tokens of width {txt}, but this model "
                f"expects widths {params.vec_in_dim} (CLIP) and {params.context_in_dim} (T5). Use the model's own "
                "encoders: CLIP-L and T5-XXL for FLUX.1, the nano encoders for the nano model."
            )
