"""The product of two measures: attention says where a word is read, causality where that matters. Pure torch.

Attention also goes where a word changes nothing, and a word also changes the picture where it is not read, since the
rest of the picture makes room; only the word's own place has both. For each word, with c the length of the change

    c_i   = sqrt(causal_i / max over all places j of causal_j)
    map_i = g * through_i / max over all places j of through_j * c_i,    g = max(r, 0)^4

in each block (or head), where r is the correlation of the block's map with c over all places. So the mean over all
blocks is that of the blocks whose attention goes where the word matters, and no block has to be chosen. `through` is
the measure through T5; maxima and correlations are those of its mean over the steps. `causal` are the squared changes
of the velocity, the mean over the steps at which they were measured.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn.functional import normalize

from ..choices import PRODUCT
from ..reading import HeatReading

POWER = 4  # of the agreement: from 2 to 8 the maps hardly change


def lengths(causal: Tensor) -> Tensor:
    """causal [steps, 1, B, words, places] -> [B, words, places]: the length of the change, at most 1 in each map."""
    mean = causal.mean((0, 1))
    return (mean / mean.amax(-1, keepdim=True).clamp_min(1e-12)).sqrt()


def agreement(through: Tensor, changed: Tensor) -> Tensor:
    """[blocks, B, words]: g for maps [blocks, B, words, places] and changes [B, words, places]."""
    one, other = (normalize(each - each.mean(-1, keepdim=True), dim=-1) for each in (through, changed))
    return (one * other).sum(-1).clamp_min(0) ** POWER


def multiplied(through: Tensor, causal: Tensor) -> Tensor:
    """The product [steps, blocks, B, words, places] of maps of this shape and changes [steps, 1, B, words, places]."""
    changed, mean = lengths(causal), through.mean(0)
    factors = agreement(mean, changed) / mean.amax(-1).clamp_min(1e-12)
    return through * (factors[..., None] * changed)


def product(through: HeatReading, causal: HeatReading) -> HeatReading:
    """The reading of the product; its shares (`groups`) are those of the attention, as in `through`."""
    return replace(through, measure=PRODUCT, maps=multiplied(through.maps, causal.maps))
