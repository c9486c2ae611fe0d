"""What a patch changes of a weight: its factors where the format has some, else the dense change. Imports ComfyUI.

The dense change is ComfyUI's own result minus the weight, so every format that its loader knows is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...compat.loras import LoHaAdapter, LoKrAdapter, LoRAAdapter, patch_weight
from ...lora.load import Patch
from .algebra import Change, Kronecker, LowRank

MOST_RANK = 1024  # of a LoHa's terms: the product of its two ranks


def change_of(patches: Sequence[Patch], shape: Sequence[int], weight: Callable[[], Tensor]) -> Change:
    """What a file's patches of one weight add to it, at strength 1.

    `shape` is the weight's; `weight` reads it in float32, on the device where a dense change is to be computed. It is
    read for a dense change alone.
    """
    if len(patches) == 1 and isinstance(patches[0].value, LoKrAdapter):
        product = _kronecker(patches[0], shape)
        if product is not None:
            return product
    terms = [_low_rank(patch, shape) for patch in patches]
    return _dense(patches, weight()) if None in terms else terms


def _dense(patches: Sequence[Patch], weight: Tensor) -> Tensor:
    """ComfyUI's result minus the weight; a control LoRA's weight is filled up with zeros."""
    result = weight
    for patch in patches:
        result = patch_weight(result, patch.key, patch.value)
    before = weight.new_zeros(result.shape)
    before[tuple(map(slice, weight.shape))] = weight
    return result - before


def _low_rank(patch: Patch, shape: Sequence[int]) -> LowRank | None:
    value = patch.value
    first, rows = (0, shape[0]) if isinstance(patch.key, str) else patch.key[1][1:]
    if not isinstance(patch.key, str) and (len(patch.key) > 2 or patch.key[1][0] != 0):
        return None
    factors = _of_lora(value) if isinstance(value, LoRAAdapter) else _of_loha(value)
    if factors is None:
        return None
    up, down, scale = factors
    reshape = value.weights[5] if isinstance(value, LoRAAdapter) else None
    # ComfyUI leaves out a patch of another size; the dense way shows what it does.
    target = tuple(reshape or (rows, shape[1])) if len(shape) == 2 else None
    fits = (up.shape[0], down.shape[1]) == target and up.shape[1] == down.shape[0]
    return LowRank(up, down, scale, first) if fits else None


def _of_lora(value: LoRAAdapter) -> tuple[Tensor, Tensor, float] | None:
    up, down, alpha, middle, dora, _ = value.weights
    if middle is not None or dora is not None:
        return None
    up, down = up.flatten(1).float(), down.flatten(1).float()
    return up, down, 1.0 if alpha is None else alpha / down.shape[0]


def _of_loha(value) -> tuple[Tensor, Tensor, float] | None:
    """(A B) * (C D), element by element, is one product of the columns' and of the rows' products."""
    if not isinstance(value, LoHaAdapter) or any(each is not None for each in value.weights[5:]):
        return None
    a, b, alpha, c, d = value.weights[:5]
    rank = a.shape[1] * c.shape[1]
    if rank > min(MOST_RANK, a.shape[0], b.shape[1]):
        return None
    up = torch.einsum("oi,oj->oij", a.float(), c.float()).flatten(1)
    down = torch.einsum("ic,jc->ijc", b.float(), d.float()).flatten(0, 1)
    return up, down, 1.0 if alpha is None else alpha / b.shape[0]


def _kronecker(patch: Patch, shape: Sequence[int]) -> Kronecker | None:
    w1, w2, alpha, w1_a, w1_b, w2_a, w2_b, t2, dora = patch.value.weights
    if t2 is not None or dora is not None or not isinstance(patch.key, str) or len(shape) != 2:
        return None
    ranks, rank = [0, 0], None  # ComfyUI divides alpha by the second factor's rank, else by the first's
    if w1 is None:
        w1, ranks[0] = w1_a.float() @ w1_b.float(), w1_b.shape[0]
        rank = ranks[0]
    if w2 is None:
        w2, ranks[1] = w2_a.float() @ w2_b.float(), w2_b.shape[0]
        rank = ranks[1]
    if w1.ndim != 2 or w2.ndim != 2 or [w1.shape[at] * w2.shape[at] for at in (0, 1)] != list(shape):
        return None
    scale = 1.0 if alpha is None or rank is None else alpha / rank
    most = [min(given or side, side) for given, side in zip(ranks, (min(w1.shape), min(w2.shape)), strict=True)]
    return Kronecker(w1.float(), w2.float(), scale, (most[0], most[1]))
