"""Spreads a map's peak over the places that are like it. Pure torch.

After AnchorDiff (Zhang and Zhang 2026, arXiv 2605.26460), which takes the peak of a map as the seed and passes it on
along the similarity of the image tokens' attention outputs. Here one step is taken, along each place's row:

    refined_i = max(S_is, 0) / sum over all places j of max(S_ij, 0)

S is the mean cosine over the recorded blocks and steps, s the map's peak. So a place has the share that the peak has of
all that the place is like: what is like everything, as an even background, gets little. A map's other values do not
count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Likeness:
    """`values` [B, N, N], half precision: the cosine of each two image tokens. `sums` [B, N]: of its positive part.

    `values` may be a part of a file (safetensors' slice), of which only the rows in use are read.
    """

    values: Any
    sums: Tensor

    @classmethod
    def of(cls, cosines: Tensor) -> Likeness:
        values = cosines.half()
        return cls(values, torch.stack([each.float().clamp_min(0).sum(1) for each in values]))

    def row(self, picture: int, place: int) -> Tensor:
        """[N]: the cosine of one place with each other."""
        return self.values[picture, place].float()


def seeds(found: Tensor, counted: Tensor | None) -> Tensor:
    """[B, words]: the place of each map's peak, for maps [B, words, h, w]; among `counted` [B, h, w] if any is True."""
    flat = found.flatten(2)
    if counted is not None:
        out = (counted.flatten(1).any(1, keepdim=True) & ~counted.flatten(1))[:, None]
        flat = flat.masked_fill(out, -torch.inf)
    return flat.argmax(2)


def refined(found: Tensor, likeness: Likeness | None, counted: Tensor | None = None) -> Tensor:
    """Maps [B, words, h, w] -> the same shape, refined; see the top of this file.

    `counted` [B, h, w] are the places where the peak may be. Raises ValueError if the likeness was not recorded.
    """
    if likeness is None:
        raise ValueError(
            "Show Heatmap: `refine` needs the similarity of the picture's areas, which was not recorded. Switch on "
            "`record similarity` in Token Heatmap or Concept Heatmap and sample again. It cannot be recorded for a "
            "prompt with an area."
        )
    peaks = seeds(found, counted)
    out = torch.empty_like(found)
    for picture, places in enumerate(peaks.tolist()):
        for word, place in enumerate(places):
            shares = likeness.row(picture, place).clamp_min(0) / likeness.sums[picture].clamp_min(1e-12)
            out[picture, word] = shares.unflatten(0, found.shape[-2:])
    return out
