"""Records through T5 and causal in one run."""

from __future__ import annotations

from ..causal.recorder import CausalRecorder
from ..reading import HeatReading
from ..recorder import HeatRecorder
from .product import product


class ProductRecorder:
    """For one run; both recorders are of the same words."""

    def __init__(self, through: HeatRecorder, causal: CausalRecorder):
        self.through, self.causal = through, causal

    def options(self, options: dict) -> dict:
        return self.causal.options(self.through.options(options))

    def reading(self) -> HeatReading:
        return product(self.through.reading(), self.causal.reading())
