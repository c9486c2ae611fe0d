"""Attaches Token Heatmap to a model. Imports ComfyUI."""

from __future__ import annotations

from ...compat import guiders
from ...compat.flux_model import transformer_of
from ...compat.patches import ModelPatcher
from ...compat.text_encoders import CLIP
from ...family import require_flux1
from ...streams import T5Text
from ..hooks import probed
from ..reading_store import ReadingStore
from .choices import AT
from .memory import check_room, planned
from .recorder import KEY, HeatRecorder
from .tokens import wanted


def watched(
    model: ModelPatcher, txt: T5Text, words: str, measure: str, every: int, heads: bool, node: str,
    *, clip: CLIP | None = None, at: str = AT, noises: int = 1,
) -> tuple[ModelPatcher, ReadingStore]:  # fmt: skip
    """The model that is watched as it samples, and the ReadingStore of what is seen.

    `measure` is one of MEASURES. `clip` holds T5, for those of NEED_T5. `at` and `noises` are for causal: the sigmas at
    which it evaluates the model (the run's nearest steps), and how many noises it is the mean of.
    """
    require_flux1(model, node)
    found, probe = wanted(txt, words), ReadingStore(node)

    def check(guider, sigmas, shape):
        flux = transformer_of(guiders.model_of(guider))
        check_room(planned(flux, len(found.words), every, heads, len(sigmas) - 1, shape), probe.room())

    def begin(guider, sigmas, repainted):
        return HeatRecorder(found, measure, every, sigmas, guider, heads, repainted)

    return probed(model, probe, KEY, begin, check), probe
