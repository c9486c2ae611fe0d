"""Evaluates a model with sets of parts of a LoRA on the x_t of one run. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...compat.memory import check_interrupted
from ...compat.previews import progress_bar
from ...lora.parts import ENCODERS
from ...notice import show
from ...sample.sampling import SamplingPlan
from .. import repainted
from ..at_moments import Run, sampled, spread, velocities
from ..with_lora import Subject
from .effects import Set, effects, sets_of
from .reading import Measured, PartsReading


def measure(
    subject: Subject, clip_text: str, t5_text: str, latent: dict, plan: SamplingPlan, count: int
) -> tuple[PartsReading, dict]:
    """(the effects at `count` moments of a run with the whole LoRA, that run's LATENT)."""
    parts, encoders = subject.parts, set(ENCODERS)
    prompts = {each: subject.encode(clip_text, t5_text, each) for each in {set_ & encoders for set_ in sets_of(parts)}}
    everything = frozenset(parts)
    steps = spread(plan.steps, count)
    run = sampled(subject.model_with(everything), prompts[everything & encoders], latent, plan, steps)
    values, again = _values(subject, prompts, run)
    moments = []
    for at, moment in enumerate(run.moments):
        here = {each: found[at] for each, found in values.items()}
        moments.append(Measured(moment.step, moment.sigma, effects(here, again[at], parts, run.mask)))
    share = repainted.share(run.mask, len(run.moments[0].x))
    cost = (len(values) + 1) * len(moments)
    reading = PartsReading(
        subject.file.name, subject.strength, parts, moments, plan.steps, cost, None if share is None else share.tolist()
    )
    return reading, run.done


def _values(subject: Subject, prompts: Mapping[Set, list], run: Run) -> tuple[dict[Set, list[Tensor]], list[Tensor]]:
    """(velocities by set, the whole LoRA's a second time), each a list by moment.

    Sets with the same parts of the transformer come one after another, so each state of its weights is loaded once. The
    plain model is last, so that nothing of the LoRA stays in place. The whole LoRA's second time is just before it,
    when its weights have been exchanged meanwhile.
    """
    encoders, everything = set(ENCODERS), frozenset(subject.parts)
    sets = sorted(sets_of(subject.parts), key=lambda each: (-len(each - encoders), sorted(each - encoders)))
    plain = next(at for at, each in enumerate(sets) if not each - encoders)
    order = [*sets[:plain], everything, *sets[plain:]]
    values, again = {}, []
    model, held, bar = None, None, progress_bar(len(order))
    for number, each in enumerate(order, 1):
        check_interrupted()
        show(f"variant {number} of {len(order)}")
        if held != each - encoders:
            held, model = each - encoders, subject.model_with(each)
        found = velocities(model, prompts[each & encoders], run)
        if each in values:
            again = found
        else:
            values[each] = found
        bar.update(1)
    return values, again
