"""How training steps: its precision, and its optimizers.

Muon for the matrices inside transformer blocks (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon), which
orthogonalizes the update of a matrix, so that all directions learn at the same rate; AdamW for all other parameters.
"""

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import nn

# Matrices inside blocks that are not maps between token vectors: modulation, and T5's table of biases.
OUTER = ("_mod.", "modulation.", "relative_attention_bias")


def precision() -> torch.autocast:
    """Matrix products in bfloat16 on CPUs that have instructions for it; elsewhere float32, which is twice as fast."""
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=fast)


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon with "match_rms_adamw" and its defaults, in float32 and matrices of one shape at a time.

    Torch's own computes in bfloat16, which takes six times as long on a CPU without instructions for it.
    """

    COEFFICIENTS, STEPS, MOMENTUM = (3.4445, -4.775, 2.0315), 5, 0.95

    def __init__(self, matrices: list[nn.Parameter], lr: float):
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        (group,), shapes = self.param_groups, defaultdict(list)
        for matrix in group["params"]:
            mean = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
            mean.lerp_(matrix.grad, 1 - self.MOMENTUM)
            shapes[matrix.shape].append((matrix, matrix.grad.lerp(mean, self.MOMENTUM)))
        for (rows, columns), pairs in shapes.items():
            matrices, updates = zip(*pairs, strict=True)
            step = 0.2 * max(rows, columns) ** 0.5 * group["lr"]
            torch._foreach_add_(matrices, list(self.orthogonal(torch.stack(updates))), alpha=-step)

    @classmethod
    def orthogonal(cls, batch: torch.Tensor) -> torch.Tensor:
        """[N, rows, columns] -> near the nearest matrices with orthonormal rows or columns, by Newton-Schulz."""
        if batch.shape[1] > batch.shape[2]:
            return cls.orthogonal(batch.mT).mT
        a, b, c = cls.COEFFICIENTS
        x = batch / batch.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
        for _ in range(cls.STEPS):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        return x


def of(*modules: nn.Module, inner: tuple[str, ...], lr: float) -> tuple[Muon, torch.optim.AdamW]:
    """(Muon, AdamW) for all parameters of the modules.

    Muon gets the matrices whose names contain a part of `inner` and none of OUTER. Its updates are scaled like AdamW's
    (Moonlight, arXiv:2502.16982), so both use the same learning rate.
    """
    matrices, rest = [], []
    for module in modules:
        for name, value in module.named_parameters():
            within = value.ndim == 2 and any(part in name for part in inner) and not any(part in name for part in OUTER)
            (matrices if within else rest).append(value)
    return (
        Muon(matrices, lr=lr),
        torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    )


def step(optimizers: Iterable[torch.optim.Optimizer], lr: float) -> None:
    for optimizer in optimizers:
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()


def cosine(step: int, progress: float, warmup: int) -> float:
    """The factor of the learning rate: a linear warmup over `warmup` steps, times a cosine of `progress` down to 0."""
    return min(1, (step + 1) / warmup) * (0.5 + 0.5 * math.cos(math.pi * progress))
