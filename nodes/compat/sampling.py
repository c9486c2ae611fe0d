"""Samplers, schedules, noise, areas and masks. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import comfy.model_sampling
import comfy.sample
import comfy.sampler_helpers
import comfy.samplers

# For isinstance: what a GUIDER is.
from comfy.samplers import CFGGuider
from torch import Tensor

__all__ = ["CFGGuider", "areas_of", "drops_second_last_sigma", "fitting_latent", "flow_sampling", "flux_sampling",
           "noise_mask", "percent_to_sigma", "percent_to_sigma_in", "prepare_noise", "run_sigmas", "sample",
           "sample_custom", "sampler", "sampler_function", "sampler_names", "scheduler_names", "schedule_sigmas",
           "sigma_max", "solver", "solver_name", "timesteps_in"]  # fmt: skip

RATIO = "downscale_ratio_"  # prefix of the LATENT keys that describe an empty latent

# ---- names


def sampler_names() -> list[str]:
    """KSampler's samplers, including those of other packs."""
    return comfy.samplers.KSampler.SAMPLERS


def scheduler_names() -> list[str]:
    """KSampler's schedulers, including those of other packs."""
    return comfy.samplers.KSampler.SCHEDULERS


def drops_second_last_sigma(name: str) -> bool:
    """Whether KSampler adds a step to this sampler's schedule and drops the second last sigma."""
    return name in comfy.samplers.KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS


# ---- a run


def fitting_latent(model, latent: Mapping[str, Any]) -> Tensor:
    """A LATENT's samples; an empty latent is converted to the model's channels and downscale ratio."""
    # Only the keys that are there: older versions do not accept these arguments.
    ratios = {key: value for key, value in latent.items() if key.startswith(RATIO)}
    return comfy.sample.fix_empty_latent_channels(model, latent["samples"], **ratios)


def prepare_noise(latent_image: Tensor, seed: int, batch_index: Sequence[int] | None = None) -> Tensor:
    """Noise of the latent's shape, on the CPU. `batch_index` [B] gives each row's index in the batch of this seed."""
    return comfy.sample.prepare_noise(latent_image, seed, batch_index)


def sample(model, noise: Tensor, steps: int, cfg: float, sampler_name: str, scheduler: str, positive: list,
           negative: list, latent_image: Tensor, **options) -> Tensor:  # fmt: skip
    """Samples as KSampler(Advanced) does. `options` are ComfyUI's: denoise, start_step, sigmas, callback ..."""
    return comfy.sample.sample(
        model, noise, steps, cfg, sampler_name, scheduler, positive, negative, latent_image, **options
    )


def sample_custom(model, noise: Tensor, cfg: float, solver, sigmas: Tensor, positive: list, negative: list,
                  latent_image: Tensor, **options) -> Tensor:  # fmt: skip
    """Samples as SamplerCustom does, with a SAMPLER (`solver`) and sigmas [steps + 1]."""
    return comfy.sample.sample_custom(model, noise, cfg, solver, sigmas, positive, negative, latent_image, **options)


def sampler(name: str):
    """The SAMPLER of that name."""
    return comfy.samplers.ksampler(name)


def sampler_function(name: str) -> Callable:
    """(model, x, sigmas, extra_args, callback, disable) -> x: how the SAMPLER of that name goes through sigmas."""
    return comfy.samplers.ksampler(name).sampler_function


def solver(function: Callable):
    """A SAMPLER from a function (model, x, sigmas, extra_args, callback, disable) -> x."""
    return comfy.samplers.KSAMPLER(function)


def solver_name(solver) -> str:
    """What a SAMPLER is called: its function's name, such as sample_euler, or its class's where it has none."""
    function = getattr(solver, "sampler_function", None)
    return getattr(function, "__name__", type(solver).__name__)


# ---- sigmas


def sigma_max(model) -> float:
    """The sigma of pure noise of a MODEL; FLUX.1's is 1."""
    return float(model.get_model_object("model_sampling").sigma_max)


def percent_to_sigma(model) -> Callable[[float], float]:
    """Of a MODEL: percent of the run, from 0 to 1 -> sigma."""
    return model.get_model_object("model_sampling").percent_to_sigma


def percent_to_sigma_in(base) -> Callable[[float], float]:
    """The same of a BaseModel, which is what wrappers of a run are given."""
    return base.model_sampling.percent_to_sigma


def timesteps_in(base, sigmas: Tensor | None) -> list[float]:
    """What a BaseModel's transformer is given as timestep at each of these sigmas but the last 0, as floats."""
    return [] if sigmas is None else base.model_sampling.timestep(sigmas[sigmas > 0]).float().tolist()


def run_sigmas(model, steps: int, sampler_name: str, scheduler: str, denoise: float) -> Tensor:
    """The sigmas [steps + 1] of a run of KSampler."""
    return comfy.samplers.KSampler(
        model, steps, model.load_device, sampler_name, scheduler, denoise, model.model_options
    ).sigmas


def schedule_sigmas(sampling, scheduler: str, steps: int) -> Tensor:
    """The sigmas [steps + 1] of a scheduler, without denoise. `sampling` is a model_sampling."""
    return comfy.samplers.calculate_sigmas(sampling, scheduler, steps)


def flow_sampling(shift: float = 1.0):
    """FLUX.1 schnell's model_sampling."""
    sampling = comfy.model_sampling.ModelSamplingDiscreteFlow()
    sampling.set_parameters(shift=shift, multiplier=1.0)
    return sampling


def flux_sampling(shift: float):
    """FLUX.1 dev's model_sampling; `shift` is BFL's mu."""
    sampling = comfy.model_sampling.ModelSamplingFlux()
    sampling.set_parameters(shift=shift)
    return sampling


# ---- areas and masks


def areas_of(plain: Sequence[Mapping], default: Sequence[Mapping], x: Tensor, timestep: Tensor) -> list:
    """For each entry that is active now: `area` (height, width, top, left) or None, `mult` [B, C, h, w], and `uuid`.

    The entries in `default` act where no other does. x [B, C, h, w] is the whole latent, timestep [B] sigma.
    """
    placed = [found for each in plain if (found := comfy.samplers.get_area_and_mult(each, x, timestep)) is not None]
    if not default:
        return placed
    run = {None: [(each, 0) for each in placed]}  # ComfyUI's dict of hooks -> entries to evaluate; here no hooks
    comfy.samplers.finalize_default_conds(None, run, [list(default)], x, timestep, {})
    return [each for each, _ in run[None]]


def noise_mask(mask: Tensor, samples: Tensor) -> Tensor:
    """A LATENT's noise_mask, resized to `samples` [B, C, h, w], on their device, as samplers do it."""
    return comfy.sampler_helpers.prepare_mask(mask, samples.shape, samples.device)
