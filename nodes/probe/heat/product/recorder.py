"""Records through T5 and causal in one run."""

from __future__ import annotations

from typing import Protocol

from ..reading import HeatReading
from .product import product


class Recorder(Protocol):
    """What HeatRecorder and CausalRecorder have in common."""

    def options(self, options: dict) -> dict: ...

    def reading(self) -> HeatReading: ...


class ProductRecorder:
    """For one run; both recorders are of the same words."""

    def __init__(self, through: Recorder, causal: Recorder):
        self.through, self.causal = through, causal

    def options(self, options: dict) -> dict:
        return self.causal.options(self.through.options(options))

    def reading(self) -> HeatReading:
        return product(self.through.reading(), self.causal.reading())
