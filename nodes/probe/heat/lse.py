"""Attention that also returns the log-sum-exp of each query's logits, to compute exact shares. Pure torch.

    share of column j for query i = exp(q_i . k_j / sqrt(d) + mask_ij - lse_i)

PyTorch's fused kernels compute the lse anyway. If ComfyUI uses PyTorch's attention, the kernel is called directly for
both results; its output is compared with ComfyUI's once in a run and must be equal bit for bit. Otherwise ComfyUI's
attention is called unchanged, and the lse is computed separately, a few queries at a time: also exact, at about half
the cost of an attention.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...sample.attention import with_heads

CHUNK = 2**26  # bytes of logits computed at a time


class Attention:
    """For one run. `same` stores, by device, dtype and shape, whether the fused kernel's output equals ComfyUI's."""

    def __init__(self):
        self.same: dict[tuple, bool] = {}

    def __call__(self, attention: Callable, q: Tensor, k: Tensor, v: Tensor, args, mask: Tensor | None, kwargs: dict):
        """(ComfyUI's output bit for bit, lse [B, H, L]). `attention` is ComfyUI's attention function, or a node's."""
        out, lse = self.output(attention, q, k, v, args, mask, kwargs)
        return out, lse_of(q, k, mask) if lse is None else lse

    def output(self, attention: Callable, q: Tensor, k: Tensor, v: Tensor, args, mask: Tensor | None, kwargs: dict):
        """As __call__, with None for an lse that no kernel returned. Raises only what `attention` raises."""
        fused = _fused(q) if getattr(attention, "__name__", "") == "attention_pytorch" else None
        plain = kwargs.get("skip_reshape") and not kwargs.get("skip_output_reshape") and not kwargs.get("enable_gqa")
        case = (q.device, q.dtype, q.shape[1:], k.shape[2], None if mask is None else mask.shape)
        is_tried = fused is not None and plain and "scale" not in kwargs and self.same.get(case, True)
        found = _tried(fused, q, k, v, mask) if is_tried else None
        if found is None:
            return attention(q, k, v, *args, mask=mask, **kwargs), None
        if case not in self.same:
            native = attention(q, k, v, *args, mask=mask, **kwargs)
            self.same[case] = torch.equal(found[0], native)
            return native, found[1] if self.same[case] else None
        return found


def _tried(fused: Callable, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor] | None:
    try:
        out, lse = fused(q, k, v, mask)
    except (RuntimeError, NotImplementedError) as error:  # the kernel does not support this device or shape
        if isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error).lower():
            raise  # ComfyUI handles it
        return None
    return out.transpose(1, 2).flatten(2), lse[..., : q.shape[2]]


def _on_cpu(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, False, attn_mask=mask)


def _on_card(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The kernel that PyTorch selects under ComfyUI's settings: flash without a mask, memory-efficient with one."""
    if mask is None:
        return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v)[:2]
    mask = mask.expand(q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    return torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, mask, True)[:2]


def _fused(q: Tensor) -> Callable | None:
    """The fused kernel that PyTorch's attention uses on this device; None if unknown."""
    return _on_card if q.is_cuda else _on_cpu if q.device.type == "cpu" else None


def lse_of(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """[B, H, L]: log sum over j of exp(q_i . k_j / sqrt(d) + mask_ij), in float32."""
    found = q.new_empty(q.shape[:3], dtype=torch.float32)
    rows = max(1, CHUNK // (4 * k.shape[2] * q.shape[0]))
    for head in range(q.shape[1]):
        keys = k[:, head].float().mT
        for start in range(0, q.shape[2], rows):
            part = slice(start, start + rows)
            logits = q[:, head, part].float() @ keys * q.shape[-1] ** -0.5
            if mask is not None:
                logits = logits + _cut(mask, head, part)
            found[:, head, part] = logits.logsumexp(-1)
    return found


def _cut(mask: Tensor, head: int, rows: slice) -> Tensor:
    """A mask's part for some queries of one head; dimensions of size 1 are broadcast."""
    mask = with_heads(mask, torch.float32)
    mask = mask[:, head if mask.shape[1] > 1 else 0]
    return mask if mask.shape[1] == 1 else mask[:, rows]


def shares(q: Tensor, k: Tensor, lse: Tensor, mask: Tensor | None) -> Tensor:
    """[B, H, Q, C], float32: the attention share of each given column for each given query.

    `q` [B, H, Q, D] and `lse` [B, H, Q] are of these queries, `k` [B, H, C, D] of these columns, `mask` of both.
    """
    logits = q.float() @ k.float().mT * q.shape[-1] ** -0.5
    if mask is not None:
        logits = logits + mask
    return (logits - lse[..., None].float()).exp()
