"""The product of two measures: attention says where a word is read, causality where that matters. Pure torch.

    map_i = through_i * sqrt(causal_i / max over all places j of causal_j)

`through` are the maps of the measure through T5, `causal` the squared changes of the velocity, the mean over the steps
at which they were measured. Attention also goes where a word changes nothing, and a word also changes the picture where
it is not read, since the rest of the picture makes room; only the word's own place has both.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ..choices import PRODUCT
from ..reading import HeatReading


def factor(causal: Tensor) -> Tensor:
    """causal [steps, 1, B, words, places] -> [B, words, places]: the length of the change, at most 1 in each map."""
    mean = causal.mean((0, 1))
    return (mean / mean.amax(-1, keepdim=True).clamp_min(1e-12)).sqrt()


def product(through: HeatReading, causal: HeatReading) -> HeatReading:
    """The reading of the product; its shares (`groups`) are those of the attention, as in `through`."""
    return replace(through, measure=PRODUCT, maps=through.maps * factor(causal.maps))
