"""Blends of CLIP's vectors. Pure torch; each function takes and returns vec [B, 768].

The vector of an empty prompt is not zero, so strength is measured from the empty prompt's vector.
"""

from __future__ import annotations

import torch
from torch import Tensor


def lerp(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """Linear interpolation from a (0) to b (1), and extrapolation beyond; exact at both ends."""
    return torch.lerp(a, b.to(a), weight)


def slerp(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """Spherical interpolation of the direction (Shoemake 1985), linear interpolation of the length.

    Exact at both ends; linear for parallel vectors.
    """
    b = b.to(a)
    if weight in (0.0, 1.0):
        return b if weight else a
    lengths = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    one, other = a / lengths[0].clamp_min(1e-12), b / lengths[1].clamp_min(1e-12)
    angle = (one * other).sum(-1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    turned = ((1 - weight) * angle).sin() / sine * one + (weight * angle).sin() / sine * other
    arc = turned * torch.lerp(*lengths, weight)
    return torch.where(sine > 1e-6, arc, torch.lerp(a, b, weight))


def towards(a: Tensor, plus: Tensor, minus: Tensor, weight: float) -> Tensor:
    """a + weight * (plus - minus).

    With a prompt as `plus` and the empty prompt as `minus` it adds the prompt's meaning. With a negative as `minus` it
    is modulation guidance (arXiv 2602.09268), applied before the MLP.
    """
    return a if weight == 0.0 else a + weight * (plus.to(a) - minus.to(a))


def strength(a: Tensor, empty: Tensor, weight: float) -> Tensor:
    """Linear interpolation from the empty prompt (0) to the prompt (1), and extrapolation; exact at both ends."""
    return torch.lerp(empty.to(a), a, weight)
