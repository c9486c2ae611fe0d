"""Velocities of several models and prompts on the x_t of one run. Imports ComfyUI.

A run is sampled once, and its x_t are kept at chosen steps. Then each variant, a MODEL with a CONDITIONING, is
evaluated on them in a run of its own that takes no step. ComfyUI loads the variant's MODEL as for any sampler, so all
patching of weights is its own: after an error or an interruption it takes a LoRA out as it does after a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..compat import guiders
from ..compat import sampling as core
from ..compat.memory import check_interrupted, result_device
from ..compat.patches import clone_options
from ..compat.wrappers import CALC_COND_BATCH, OUTER_SAMPLE, set_wrapper, with_wrapper
from ..condition.timepoints import step_at
from ..keys import BATCH_INDEX, NOISE_MASK, OPTIONS, SAMPLE_SIGMAS
from ..sample.sampling import SamplingPlan, sample
from .latent_mask import mask_of
from .repainted import counted

KEY = "flux_duet_moments"


@dataclass(frozen=True, eq=False)
class Moment:
    """The first evaluation of a step: x_t [B, C, h, w] and its sigma [B], on the result device."""

    step: int
    x: Tensor
    at: Tensor

    @property
    def sigma(self) -> float:
        return float(self.at[0])


@dataclass(frozen=True, eq=False)
class Run:
    """One run: its finished LATENT, its sigmas [steps + 1], the chosen moments and the mask of what is repainted."""

    latent: dict
    plan: SamplingPlan
    done: dict
    sigmas: Tensor
    moments: Sequence[Moment]
    mask: Tensor | None


def spread(steps: int, count: int) -> list[int]:
    """`count` of the step numbers below `steps`, evenly spread, the first and the last among them."""
    if count >= steps:
        return list(range(steps))
    return [round(at * (steps - 1) / max(count - 1, 1)) for at in range(count)]


def sampled(model, positive: list, latent: dict, plan: SamplingPlan, steps: Collection[int]) -> Run:
    """Samples as MMDiT Sampler does, and keeps x_t at these steps."""
    moments: dict[int, Moment] = {}
    sigmas: list[Tensor] = []

    def see(executor, base, conds, x, timestep, options):
        sigmas[:] = [options[OPTIONS][SAMPLE_SIGMAS]]
        step = step_at([float(sigma) for sigma in sigmas[0][:-1]], float(timestep[0]))
        if step in steps and step not in moments:
            moments[step] = Moment(step, x.to(result_device(), copy=True), timestep.to(result_device(), copy=True))
        return executor(base, conds, x, timestep, options)

    done = sample(_wrapped(model, see), positive, None, latent, plan)
    if not moments:
        raise ValueError(
            "The run never evaluated the prompt through ComfyUI's own sampling functions, so there is nothing to "
            "measure. Another node has replaced the model's evaluation: measure without it."
        )
    kept = [moments[step] for step in sorted(moments)]
    return Run(latent, plan, done, sigmas[0].to("cpu", copy=True), kept, mask_of(latent, kept[0].x))


def velocities(model, positive: list, run: Run) -> list[Tensor]:
    """The velocity [B, C, h, w], float32, of a MODEL with a prompt at each moment of `run`.

    Only what reaches the picture: under a mask it is multiplied by it. Equal to those of a native run on the same x_t.
    Each moment has a run of its own, so that nothing which other nodes keep for a run (EasyCache) answers for another.
    """
    return [_velocity(model, positive, run, moment) for moment in run.moments]


def _velocity(model, positive: list, run: Run, moment: Moment) -> Tensor:
    found: list[Tensor] = []

    def ask(executor, base, conds, x, timestep, options):
        if not found:
            at = moment.at.to(timestep)
            (denoised,) = executor(base, conds[:1], moment.x.to(x), at, options)
            velocity = (moment.x.to(x) - denoised).float() / float(at[0])
            found.append(counted(velocity.to(result_device()), run.mask))
        return [torch.zeros_like(x) for _ in conds]

    check_interrupted()
    model = _wrapped(model, ask)
    latent_image = core.fitting_latent(model, run.latent)
    noise = core.prepare_noise(latent_image, run.plan.seed, run.latent.get(BATCH_INDEX))
    core.sample_custom(
        model, noise, 1.0, core.solver(_no_step), run.sigmas, positive, positive, latent_image,
        noise_mask=run.latent.get(NOISE_MASK), disable_pbar=True, seed=run.plan.seed,
    )  # fmt: skip
    return found[0]


def _no_step(model, x, sigmas, extra_args=None, callback=None, disable=None):
    """Evaluates the model once, so that the wrapper is called with all that ComfyUI has prepared."""
    return model(x, sigmas[:1].expand(len(x)), **(extra_args or {}))


def _wrapped(model, wrapper: Callable):
    """A clone of a MODEL with a wrapper around the evaluation of all prompts, outside of those of other nodes."""
    model = model.clone()

    def around(executor, *args, **kwargs):
        guider = guiders.wrapped_object(executor)
        given = guiders.options_of(guider)
        options = clone_options(given)
        options[OPTIONS] = with_wrapper(options[OPTIONS], CALC_COND_BATCH, KEY, wrapper, outermost=True)
        guiders.set_options(guider, options)
        try:
            return executor(*args, **kwargs)
        finally:
            guiders.set_options(guider, given)

    set_wrapper(model, OUTER_SAMPLE, KEY, around)
    return model
