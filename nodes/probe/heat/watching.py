"""Attaches Token Heatmap to a model. Imports ComfyUI."""

from __future__ import annotations

from ...compat import guiders
from ...compat.flux_model import transformer_of
from ...compat.patches import ModelPatcher
from ...family import require_flux1
from ...streams import T5Text
from ..hooks import probed
from ..reading_store import ReadingStore
from .memory import check_room, planned
from .recorder import KEY, HeatRecorder
from .tokens import wanted


def watched(
    model: ModelPatcher, txt: T5Text, words: str, measure: str, every: int, heads: bool, node: str
) -> tuple[ModelPatcher, ReadingStore]:
    """The model that is watched as it samples, and the ReadingStore of what is seen."""
    require_flux1(model, node)
    found, probe = wanted(txt, words), ReadingStore(node)

    def check(guider, sigmas, shape):
        flux = transformer_of(guiders.model_of(guider))
        check_room(planned(flux, len(found.words), every, heads, len(sigmas) - 1, shape), probe.room())

    def begin(guider, sigmas, repainted):
        return HeatRecorder(found, measure, every, sigmas, guider, heads, repainted)

    return probed(model, probe, KEY, begin, check), probe
