"""Samples prompt A once, and prompt B from each of its steps on, with ComfyUI's own sampler. Imports ComfyUI.

Before step k all runs that switch at k or later are equal, so A is sampled once and its latent is kept at every step.
After the switch each run has its own row of a batch, and at step i all runs that have switched by then are evaluated
together. Each prompt is sampled in a single run of ComfyUI's sampling, which calls ComfyUI's sampler for one step at a
time, so that models, masks, hooks and controls see the whole schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...compat import memory, previews
from ...compat import sampling as core
from ...compat.patches import transformer_options
from ...condition.controls import has_controls
from ...condition.timepoints import percent_at
from ...keys import ATTN_INPUT, BATCH_INDEX, NOISE_MASK, PATCHES, REFERENCES, SAMPLES
from ...sample.apply import attach
from ...sample.choices import OFFICIAL
from ...sample.sampling import SamplingPlan, check_widths, official_sigmas
from ..latent_mask import mask_of
from .choices import NAME, SAMPLER

WHY_NOT = {
    "heun": "evaluates the model twice per step, so a switch would fall into the middle of a step",
    "dpm_2": "evaluates the model twice per step, so a switch would fall into the middle of a step",
    "ancestral": "adds new noise at every step, so two runs would differ even with the same prompt",
    "sde": "adds new noise at every step, so two runs would differ even with the same prompt",
}
CARRIES = "may keep values of prompt A after the switch, or evaluate the model several times per step"


@dataclass(frozen=True)
class Swept:
    """The result of a sweep. `samples` [K, ...] has a row for each of `switches`, in their order, pure A last."""

    switches: list[int]
    samples: Tensor
    sigmas: list[float]
    percents: list[float]
    rows: tuple[int, int]  # batch rows evaluated for A, and for all other runs
    mask: Tensor | None = None  # [1, C, h, w]: the LATENT's noise_mask; None if it has none


def refusal(sampler: str | None) -> str | None:
    """The error message for a sampler that cannot be swept; None for one that can."""
    if sampler in (None, SAMPLER):
        return None
    reason = next((why for part, why in WHY_NOT.items() if part in sampler), CARRIES)
    return f"Switch Sweep: the sampler {sampler!r} {reason}. Expected '{SAMPLER}', which FLUX.1's own code uses."


def switches(steps: int, every: int) -> list[int]:
    """The steps before which runs switch: every n-th from 0 on, and last `steps`, the run that never switches."""
    return [*range(0, steps, every), steps]


def sweep(
    model, a: list, b: list, latent: dict, plan: SamplingPlan, every: int = 1, batch: int = 4,
    only: Sequence[int] | None = None,
) -> Swept:  # fmt: skip
    """The latent of every run, equal to MMDiT Sampler's with a schedule that switches at that step.

    `batch` is the maximum number of rows evaluated at once. `only` are the steps before which to switch, in ascending
    order, instead of every n-th; pure A is drawn only if the number of steps is among them. Raises ValueError for
    prompts, latents or samplers that cannot be swept.
    """
    _check(model, a, b, latent, plan)
    if has_controls(a) or has_controls(b):
        model = attach(model, node=NAME)
    latent_image = core.fitting_latent(model, latent)
    sigmas = _sigmas(model, latent_image, plan)
    steps = len(sigmas) - 1
    wanted = switches(steps, every) if only is None else [*only]
    starts, last = [step for step in wanted if step < steps], max(wanted)
    rows = last, sum(steps - start for start in starts)
    bar = _Bar(model, sum(rows))
    kept: dict[int, Tensor] = {}

    def keep(step: int, x0: Tensor, x: Tensor, total: int) -> None:
        if step in starts:
            kept[step] = x
        bar.took(x0)

    run = _run_of(model, latent, latent_image, sigmas, plan)
    drawn = run(a, core.sampler(SAMPLER) if last == steps else core.solver(_until(last)), keep, 1)
    samples = drawn[: last == steps]
    if starts:
        others = run(b, core.solver(_from_everywhere(kept, batch, bar)), None, min(batch, len(starts)))
        samples = torch.cat([others, samples])
    return Swept(wanted, samples, *_scale(model, sigmas), rows, mask_of(latent, samples[:1]))


def _run_of(model, latent: dict, latent_image: Tensor, sigmas: Tensor, plan: SamplingPlan) -> Callable:
    """run(prompt, sampler, callback, rows): one run of ComfyUI's sampling over all sigmas."""

    def run(prompt: list, sampler, callback, count: int) -> Tensor:
        # As many rows as are evaluated at once, so that ComfyUI reserves memory for them; a mask is for one picture.
        count = 1 if latent.get(NOISE_MASK) is not None else count
        noise = core.prepare_noise(latent_image, plan.seed, latent.get(BATCH_INDEX))
        noise, image = (each.expand(count, *each.shape[1:]) for each in (noise, latent_image))
        return core.sample_custom(
            model, noise, 1.0, sampler, sigmas, prompt, prompt, image, noise_mask=latent.get(NOISE_MASK),
            callback=callback, disable_pbar=True, seed=plan.seed,
        )  # fmt: skip

    return run


def _scale(model, sigmas: Tensor) -> tuple[list[float], list[float]]:
    """(sigmas, percents) of a run's steps."""
    levels, sigma_at = sigmas.tolist(), core.percent_to_sigma(model)
    return levels, [percent_at(sigma, sigma_at) for sigma in levels]


def planned(model, a: list, b: list, latent: dict, plan: SamplingPlan) -> tuple[list[float], list[float]]:
    """(sigmas, percents) of a sweep's steps. Raises ValueError for what cannot be swept."""
    _check(model, a, b, latent, plan)
    return _scale(model, _sigmas(model, core.fitting_latent(model, latent), plan))


def _until(last: int) -> Callable:
    """A sampler function that takes the steps before `last`, and calls back once more, with the latent there."""
    one_step = core.sampler_function(SAMPLER)

    def sample(model, x: Tensor, sigmas: Tensor, extra_args=None, callback=None, disable=None) -> Tensor:
        for step in range(last):
            seen = _at_step(callback, step)
            x = one_step(model, x, sigmas[step : step + 2], extra_args=extra_args, callback=seen, disable=True)
        callback({"x": x, "i": last, "sigma": sigmas[last], "sigma_hat": sigmas[last], "denoised": x})
        return x

    return sample


def _at_step(callback: Callable, step: int) -> Callable:
    """The callback of a run of one step, with the number of the step in the whole run."""
    return lambda state: callback({**state, "i": step})


def _check(model, a: list, b: list, latent: dict, plan: SamplingPlan) -> None:
    if message := refusal(plan.sampler):
        raise ValueError(message)
    if len(latent[SAMPLES]) != 1:
        raise ValueError(
            f"Switch Sweep: got a LATENT with {len(latent[SAMPLES])} pictures, expected one: it is sampled once for "
            "every step. Use LatentFromBatch to pick one."
        )
    if _keeps_references(model) and any(REFERENCES in entry for _, entry in (*a, *b)):
        raise ValueError(
            f"{NAME}: Flux KV Cache stores the reference pictures' keys and values at a run's first step, and the runs "
            "of a sweep share their first steps, so B's would be used for all of them. Sweep without Flux KV Cache."
        )
    for name, prompt in (("a", a), ("b", b)):
        check_widths(model, prompt, name, NAME)
        counts = {len(txt) for txt, _ in prompt}
        if counts != {1}:
            raise ValueError(f"Switch Sweep: `{name}` holds {max(counts, default=0)} prompts in a batch, expected one.")


def _keeps_references(model) -> bool:
    """Whether Flux KV Cache patches this MODEL. Compared by class name, since ComfyUI imports its nodes by path."""
    patches = transformer_options(model).get(PATCHES, {}).get(ATTN_INPUT, ())
    return any(type(each).__name__ == "KV_Attn_Input" for each in patches)


def _sigmas(model, latent_image: Tensor, plan: SamplingPlan) -> Tensor:
    """The run's noise levels [steps + 1], as in MMDiT Sampler."""
    if plan.scheduler == OFFICIAL:
        return official_sigmas(model, latent_image, plan)
    return core.run_sigmas(model, plan.steps, plan.sampler, plan.scheduler, plan.denoise)


def _from_everywhere(kept: Mapping[int, Tensor], batch: int, bar: _Bar) -> Callable:
    """A sampler function that adds a row at each step in `kept` and samples all rows together, ordered by step."""
    one_step = core.sampler_function(SAMPLER)

    def sample(model, x: Tensor, sigmas: Tensor, extra_args=None, callback=None, disable=None) -> Tensor:
        rows = x[:0]
        for step in range(len(sigmas) - 1):
            if step in kept:
                rows = torch.cat([rows, kept[step]])
            if not len(rows):  # the first switch is later
                continue
            rows = torch.cat([
                one_step(model, part, sigmas[step : step + 2], extra_args=extra_args, callback=bar.seen, disable=True)
                for part in _parts(rows, batch)
            ])  # fmt: skip
        return rows

    return sample


def _parts(rows: Tensor, batch: int) -> Sequence[Tensor]:
    """Splits rows into as few parts of at most `batch` as possible, of nearly equal size: 5 rows by 4 are 3 and 2."""
    return rows.tensor_split(-(-len(rows) // batch))


class _Bar:
    """One progress bar over all rows of a sweep, with ComfyUI's previews. Each update checks for an interruption."""

    def __init__(self, model, total: int):
        self.bar = previews.progress_bar(total)
        self.previewer = previews.previewer(model)

    def seen(self, state: Mapping[str, Tensor]) -> None:
        """The callback of k-diffusion's samplers, called with a dict at each step."""
        self.took(state["denoised"])

    def took(self, x0: Tensor) -> None:
        memory.check_interrupted()
        shown = self.previewer.decode_latent_to_preview_image("JPEG", x0) if self.previewer else None
        self.bar.update_absolute(self.bar.current + len(x0), self.bar.total, shown)
