"""Attaches Token Heatmap to a model. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...compat import guiders
from ...compat.flux_model import transformer_of
from ...compat.patches import ModelPatcher
from ...compat.text_encoders import CLIP
from ...family import require_flux1
from ...streams import T5Text
from ..hooks import probed
from ..noise_levels import levels
from ..reading_store import ReadingStore
from .causal.encoded import left_out
from .causal.recorder import CausalRecorder
from .choices import AT, CAUSAL, PRODUCT, THROUGH
from .memory import check_room, planned
from .product.recorder import ProductRecorder
from .recorder import KEY, HeatRecorder
from .selection import Wanted
from .spread.recorder import WithLikeness
from .through_t5.encoded import through_t5
from .tokens import wanted


def watched(
    model: ModelPatcher, txt: T5Text, words: str, measure: str, every: int, heads: bool, node: str,
    *, clip: CLIP | None = None, at: str = AT, noises: int = 1, likeness: bool = False,
) -> tuple[ModelPatcher, ReadingStore]:  # fmt: skip
    """The model that is watched as it samples, and the ReadingStore of what is seen.

    `measure` is one of MEASURES. `clip` holds T5, for those of NEED_T5. `at` and `noises` are for causal and the
    product: the sigmas at which it evaluates the model (the run's nearest steps), and how many noises it is the mean
    of. With `likeness` the reading can be refined.
    """
    require_flux1(model, node)
    found, probe = wanted(txt, words, node), ReadingStore(node)
    makes: Callable[..., Any]
    if measure == CAUSAL:
        makes, steps = _causal(clip, txt, found, levels(at, node), noises, heads, node)
    else:
        is_product = measure == PRODUCT
        beside = _causal(clip, txt, found, levels(at, node), noises, False, node)[0] if is_product else None
        found, steps = through_t5(clip, txt, found) if measure == THROUGH or is_product else found, None

        def makes(guider, sigmas, repainted):
            recorder = HeatRecorder(found, measure, every, sigmas, guider, heads, repainted)
            return recorder if beside is None else ProductRecorder(recorder, beside(guider, sigmas, repainted))

    def check(guider, sigmas, shape):
        flux = transformer_of(guiders.model_of(guider))
        plan = planned(flux, len(found.words), every, heads, len(sigmas) - 1, shape)
        plan = plan if steps is None else plan.of_the_whole(steps)
        check_room(replace(plan, likeness=likeness), probe.room(), node)

    def begin(guider, sigmas, repainted):
        recorder = makes(guider, sigmas, repainted)
        return WithLikeness(recorder, every, sigmas, guider) if likeness else recorder

    return probed(model, probe, KEY, begin, check), probe


def _causal(
    clip: CLIP | None, txt: T5Text, found: Wanted, at: list[float], noises: int, heads: bool, node: str
) -> tuple[Callable[..., CausalRecorder], int]:
    """(what makes a run's recorder, the number of steps that it measures at most)."""
    if heads:
        raise ValueError(
            f"{node}: the measure {CAUSAL!r} compares velocities of the whole model, which have no attention heads. "
            "Switch `heads` to averaged."
        )
    words = left_out(clip, txt, found)

    def makes(guider, sigmas, repainted):
        return CausalRecorder(words, at, noises, sigmas, guider, repainted)

    return makes, len(at)
