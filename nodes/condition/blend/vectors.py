"""CLIP's vectors mixed. Pure torch; each function takes and gives vec [B, 768].

A vec of no words is that of the empty prompt, not zero: strength is measured from there.
"""

from __future__ import annotations

import torch
from torch import Tensor


def lerp(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """Along the line from a (0) to b (1), and on past them; the ends are exact."""
    return torch.lerp(a, b.to(a), weight)


def slerp(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """Along the arc: the direction turns evenly and the length changes evenly; the ends are exact.

    Parallel vectors have no arc of their own and go along the line (Shoemake 1985, with lengths).
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
    """a + weight * (plus - minus): adds what `plus` has over `minus`.

    With `plus` a prompt and `minus` the empty one it adds that prompt's meaning; with `minus` a negative it is
    modulation guidance before the MLP (arXiv 2602.09268).
    """
    return a if weight == 0.0 else a + weight * (plus.to(a) - minus.to(a))


def strength(a: Tensor, empty: Tensor, weight: float) -> Tensor:
    """From the empty prompt (0) to the prompt (1), and on past it; the ends are exact."""
    return torch.lerp(empty.to(a), a, weight)
