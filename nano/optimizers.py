"""The optimizers: Muon for the matrices inside transformer blocks, AdamW for all other parameters.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; in torch since 2.9) orthogonalizes the update of a
matrix, so that all directions learn at the same rate.
"""

import math
from collections.abc import Iterable

import torch
from torch import nn

# Matrices inside blocks that are not maps between token vectors: modulation, and T5's table of biases.
OUTER = ("_mod.", "modulation.", "relative_attention_bias")


def of(*modules: nn.Module, inner: tuple[str, ...], lr: float) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """(Muon, AdamW) for all parameters of the modules.

    Muon gets the matrices whose names contain a part of `inner` and none of OUTER. With "match_rms_adamw" (Moonlight,
    arXiv:2502.16982) both use the same learning rate.
    """
    matrices, rest = [], []
    for module in modules:
        for name, value in module.named_parameters():
            within = value.ndim == 2 and any(part in name for part in inner) and not any(part in name for part in OUTER)
            (matrices if within else rest).append(value)
    return (
        torch.optim.Muon(matrices, lr=lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0),
    )


def step(optimizers: Iterable[torch.optim.Optimizer], lr: float) -> None:
    for optimizer in optimizers:
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()


def cosine(step: int, progress: float, warmup: int) -> float:
    """The factor of the learning rate: a linear warmup over `warmup` steps, times a cosine of `progress` down to 0."""
    return min(1, (step + 1) / warmup) * (0.5 + 0.5 * math.cos(math.pi * progress))
