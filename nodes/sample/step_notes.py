"""Warnings about the step numbers in a run's prompts, before the run starts. Pure torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from ..condition.controls import ActiveRange, Control, PlacedText, Timeline, VecDelta
from ..condition.timepoints import STEP, Clock, Point


def step_notes(controls: Iterable[Control], sigmas: Tensor, first_step: int, sigma_max: float) -> list[str]:
    """Warnings about the steps in the controls of a run's prompts: steps after its end, and a continued run.

    `sigmas` [steps + 1] are the run's, `first_step` the number of its first step, `sigma_max` the model's largest
    sigma.
    """
    steps = sorted({int(point.value) for point in _points(controls) if point.unit == STEP and point.value > 0})
    if not steps or len(sigmas) < 2:
        return []
    levels = sigmas.tolist()
    return [*_past_the_end(steps, levels, first_step), *_counted_from_0(levels[0], first_step, sigma_max)]


def _points(controls: Iterable[Control]) -> Iterator[Point]:
    for control in controls:
        if isinstance(control, Timeline):
            yield from (keyframe.start for keyframe in control.keyframes[1:])
            yield from _points(each for keyframe in control.keyframes for each in keyframe.span.controls)
        elif isinstance(control, (PlacedText, VecDelta, ActiveRange)):
            yield control.when.start


def _past_the_end(steps: Sequence[int], sigmas: Sequence[float], first_step: int) -> Iterator[str]:
    """A warning for starts after the last step, if the run ends at sigma 0 (no other sampler continues it)."""
    last, clock = first_step + len(sigmas) - 1, Clock(sigmas, first=first_step)
    late = [step for step in steps if not clock.acting(Point(step, STEP))]
    if late and sigmas[-1] == 0:
        yield (
            f"What starts at step {', '.join(map(str, late))} never acts: this run ends before step {last}. Use an "
            "earlier step, or a percentage of time (40%)."
        )


def _counted_from_0(first_sigma: float, first_step: int, sigma_max: float) -> Iterator[str]:
    """A warning for a run that starts late: a native sampler that continues a run counts its steps from 0."""
    if first_step == 0 and first_sigma < sigma_max * (1 - 1e-3):
        yield (
            f"This run starts at sigma {first_sigma:.3f}, not at {sigma_max:.3g}. Its prompts have times in steps, "
            "which are counted from the first step of this run. If it continues another sampler's run, write the times "
            "in percent or sigma, or use MMDiT Sampler with `start_step`."
        )
