"""Samplers, schedules, noise, and where each entry of a prompt acts. Imports ComfyUI."""

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
           "sigma_max", "solver", "solver_name"]  # fmt: skip

RATIO = "downscale_ratio_"  # how the keys of a LATENT begin that tell how an empty one was made

# ---- names


def sampler_names() -> list[str]:
    """KSampler's samplers, those that other packs add included."""
    return comfy.samplers.KSampler.SAMPLERS


def scheduler_names() -> list[str]:
    """KSampler's schedules, those that other packs add included."""
    return comfy.samplers.KSampler.SCHEDULERS


def drops_second_last_sigma(name: str) -> bool:
    """Whether KSampler makes a schedule of one more step for this sampler, and drops the sigma before the last."""
    return name in comfy.samplers.KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS


# ---- a run


def fitting_latent(model, latent: Mapping[str, Any]) -> Tensor:
    """A LATENT's samples; an empty one gets the channels and the size that the model's latents have."""
    # What an empty latent tells of its making is passed on only where it is there: older versions don't take it.
    ratios = {key: value for key, value in latent.items() if key.startswith(RATIO)}
    return comfy.sample.fix_empty_latent_channels(model, latent["samples"], **ratios)


def prepare_noise(latent_image: Tensor, seed: int, batch_index: Sequence[int] | None = None) -> Tensor:
    """Noise of the latent's shape, on the CPU. `batch_index` says which picture of a seed's batch each row is."""
    return comfy.sample.prepare_noise(latent_image, seed, batch_index)


def sample(model, noise: Tensor, steps: int, cfg: float, sampler_name: str, scheduler: str, positive: list,
           negative: list, latent_image: Tensor, **options) -> Tensor:  # fmt: skip
    """KSampler's and KSamplerAdvanced's run. `options` are ComfyUI's: denoise, start_step, sigmas, callback ..."""
    return comfy.sample.sample(
        model, noise, steps, cfg, sampler_name, scheduler, positive, negative, latent_image, **options
    )


def sample_custom(model, noise: Tensor, cfg: float, solver, sigmas: Tensor, positive: list, negative: list,
                  latent_image: Tensor, **options) -> Tensor:  # fmt: skip
    """SamplerCustom's run, with a SAMPLER (`solver`) and sigmas [steps + 1]."""
    return comfy.sample.sample_custom(model, noise, cfg, solver, sigmas, positive, negative, latent_image, **options)


def sampler(name: str):
    """The SAMPLER of that name."""
    return comfy.samplers.ksampler(name)


def sampler_function(name: str) -> Callable:
    """(model, x, sigmas, extra_args, callback, disable) -> x: how the SAMPLER of that name goes through sigmas."""
    return comfy.samplers.ksampler(name).sampler_function


def solver(function: Callable):
    """A SAMPLER of a function (model, x, sigmas, extra_args, callback, disable) -> x."""
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


def run_sigmas(model, steps: int, sampler_name: str, scheduler: str, denoise: float) -> Tensor:
    """sigma [steps + 1] of KSampler's run."""
    return comfy.samplers.KSampler(
        model, steps, model.load_device, sampler_name, scheduler, denoise, model.model_options
    ).sigmas


def schedule_sigmas(sampling, scheduler: str, steps: int) -> Tensor:
    """sigma [steps + 1] of a schedule over the whole of `sampling`, a model_sampling."""
    return comfy.samplers.calculate_sigmas(sampling, scheduler, steps)


def flow_sampling(shift: float = 1.0):
    """The model_sampling of FLUX.1 schnell: sigma from 1 to 0."""
    sampling = comfy.model_sampling.ModelSamplingDiscreteFlow()
    sampling.set_parameters(shift=shift, multiplier=1.0)
    return sampling


def flux_sampling(shift: float):
    """The model_sampling of FLUX.1 dev; `shift` is BFL's mu."""
    sampling = comfy.model_sampling.ModelSamplingFlux()
    sampling.set_parameters(shift=shift)
    return sampling


# ---- where entries act


def areas_of(plain: Sequence[Mapping], default: Sequence[Mapping], x: Tensor, timestep: Tensor) -> list:
    """Of each entry that counts now: `area` (height, width, top, left) or None, `mult` [B, C, h, w], and `uuid`.

    Entries in `default` count where no other does. x [B, C, h, w] is the whole latent, timestep [B] sigma.
    """
    placed = [found for each in plain if (found := comfy.samplers.get_area_and_mult(each, x, timestep)) is not None]
    if not default:
        return placed
    run = {None: [(each, 0) for each in placed]}  # ComfyUI's table of what is evaluated, with no hooks
    comfy.samplers.finalize_default_conds(None, run, [list(default)], x, timestep, {})
    return [each for each, _ in run[None]]


def noise_mask(mask: Tensor, samples: Tensor) -> Tensor:
    """A LATENT's noise_mask at the size of `samples` [B, C, h, w], on their device, as a sampler prepares it."""
    return comfy.sampler_helpers.prepare_mask(mask, samples.shape, samples.device)
