"""How the transformers are stepped: Muon for the matrices inside their blocks, AdamW for all else.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; in torch since 2.9) makes every direction of a
matrix learn at the same pace.
"""

import math
from collections.abc import Iterable

import torch
from torch import nn

# Inside blocks, but no map between vectors of tokens: modulation, and T5's table of biases.
OUTER = ("_mod.", "modulation.", "relative_attention_bias")


def of(*modules: nn.Module, inner: tuple[str, ...], lr: float) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon and AdamW for all of the modules' parameters.

    Muon gets the matrices whose names have a part of `inner` in them, and none of OUTER.
    With "match_rms_adamw" (Moonlight, arXiv:2502.16982) one learning rate suits both.
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
    """The part of the learning rate to use: up over the first steps, then down to nothing as progress nears 1."""
    return min(1, (step + 1) / warmup) * (0.5 + 0.5 * math.cos(math.pi * progress))
