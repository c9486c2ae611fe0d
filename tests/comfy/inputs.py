"""Random prompts of the tiny models' sizes, and the relative distance of two results."""

import torch

from flux_duet.nodes.streams import ClipVec, Span, T5Text


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def vec(seed: int, batch: int = 1) -> ClipVec:
    """A CLIP prompt [batch, 64]."""
    return ClipVec((Span(randn(seed, batch, 64)),))


def txt(seed: int, length: int = 9, batch: int = 1, bias: torch.Tensor | None = None) -> T5Text:
    """A T5 prompt [batch, length, 64]; `bias` [batch, length] is added to its columns' attention logits."""
    return T5Text((Span(randn(seed, batch, length, 64), bias=bias),))


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    """|one - other| / |other|."""
    return ((one - other).norm() / other.norm()).item()
