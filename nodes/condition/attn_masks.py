"""Adapts ComfyUI's attention mask when rows of `txt` are added, removed or replaced. Pure torch.

A mask is a bias on the logits between all tokens, text rows first (streams.AttnMask), so its size must match `txt`.
StyleModelApply's mask weights Redux' rows and treats all rows of the prompt alike, so it can be adapted to a prompt of
another length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..keys import MASK, MASK_SIZE
from ..streams import AttnMask


def take_mask(extras: Mapping[str, Any], rows: int) -> tuple[dict[str, Any], AttnMask | None]:
    """An entry's extras without its attention mask, and the mask; None if ComfyUI would use none (no mask or no size).

    Raises ValueError for a mask that is not for `rows` rows of txt.
    """
    if extras.get(MASK) is None or extras.get(MASK_SIZE) is None:
        return dict(extras), None
    values = extras[MASK]
    values = as_bias(values if values.ndim == 3 else values[None])
    mask = AttnMask(values, tuple(extras[MASK_SIZE]))
    if mask.rows != rows:
        raise ValueError(
            f"This CONDITIONING has {rows} T5 tokens but an attention mask for {mask.rows}: another node added or "
            "removed tokens after the mask was made. Apply Redux (with attn_bias) last, or with strength_type "
            "'multiply'."
        )
    return {key: value for key, value in extras.items() if key not in (MASK, MASK_SIZE)}, mask


def as_extras(mask: AttnMask | None) -> dict[str, Any]:
    """The extras that hold this mask in a CONDITIONING entry."""
    return {} if mask is None else {MASK: mask.values, MASK_SIZE: mask.size}


def as_bias(values: Tensor) -> Tensor:
    """A boolean mask as a bias on the logits, 0 or minus infinity; other masks unchanged."""
    return torch.where(values, 0.0, -torch.inf) if values.dtype == torch.bool else values


def reindexed(values: Tensor, index: Tensor) -> Tensor:
    """values [B, N, N] -> [B, M, M]: rows and columns selected by `index` [M]; -1 selects a token with bias 0."""
    padded = torch.nn.functional.pad(values, (0, 1, 0, 1))  # index -1 selects the padding
    index = index.to(values.device)
    return padded[:, index][:, :, index]


def replaced(values: Tensor, old: slice, new: int) -> Tensor:
    """The mask after the rows `old` of txt were replaced by `new` rows; all other tokens stay.

    Raises ValueError if the mask is not the same for all rows in `old` and `new` is another number of rows.
    """
    count = old.stop - old.start
    if new == count:
        return values
    if not all(bool((part[:, :1] == part).all()) for part in (values[:, old], values[:, :, old].transpose(1, 2))):
        raise ValueError(
            "This CONDITIONING's attention mask differs between the T5 prompt's tokens, so it cannot be adapted to a "
            f"prompt of {new} tokens. Use a prompt of {count} tokens, or remove the node that set the mask."
        )
    tokens = torch.arange(values.shape[-1])
    return reindexed(values, torch.cat([tokens[: old.start], torch.full((new,), old.start), tokens[old.stop :]]))


def inserted(values: Tensor, at: int, rows: int) -> Tensor:
    """The mask after `rows` rows were inserted into txt at index `at`; their bias is 0."""
    tokens = torch.arange(values.shape[-1])
    return reindexed(values, torch.cat([tokens[:at], torch.full((rows,), -1), tokens[at:]]))


def concatenated(parts: Sequence[tuple[AttnMask | None, Tensor]]) -> AttnMask | None:
    """The mask of two concatenated prompts, from (mask, index) of each; None if neither has a mask.

    `index` [rows] gives for each row of the result its index in that prompt, or -1. Raises ValueError for masks for
    pictures of different sizes.
    """
    masks = [(mask, index) for mask, index in parts if mask is not None]
    if len({mask.size for mask, _ in masks}) > 1:
        raise ValueError("Got two prompts whose attention masks are for different picture sizes, expected one size.")
    total: Tensor | int = 0
    for number, (mask, index) in enumerate(masks):
        values = reindexed(mask.values, torch.cat([index, torch.arange(mask.rows, mask.values.shape[-1])]))
        if number:  # between image tokens the first mask applies
            values[:, -mask.image :, -mask.image :] = 0
        total = total + values
    return AttnMask(total, masks[0][0].size) if masks else None


def with_texts(
    values: Tensor | None, rows: int, image: int, masks: Sequence[tuple[int, Tensor | None]]
) -> Tensor | None:
    """The mask of a forward with texts appended after the first `rows` rows of txt; None if nothing is masked.

    `values` is the mask of the first text, or None. `masks` are (length L, values [B, L + image, L + image] or None) of
    each appended text; `image` is the number of image tokens.
    """
    if values is None and all(mask is None for _, mask in masks):
        return None
    if values is None:
        some = next(mask for _, mask in masks if mask is not None)
        values = some.new_zeros(some.shape[0], rows + image, rows + image)
    out = inserted(values, rows, sum(length for length, _ in masks))
    start, picture = rows, slice(out.shape[-1] - image, None)
    for length, mask in masks:
        own = slice(start, start + length)
        if mask is not None:
            mask = mask.to(out)
            out[:, own, own] = mask[:, :length, :length]
            out[:, own, picture] = mask[:, :length, length:]
            out[:, picture, own] = mask[:, length:, :length]
        start += length
    return out
