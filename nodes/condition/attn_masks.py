"""ComfyUI's attention mask where rows of `txt` come, go or are others: it is for exactly these rows. Pure torch.

A mask is a bias on the logits between all tokens, text rows first (streams.AttnMask). StyleModelApply makes one that
weighs Redux' rows and leaves the prompt's rows alike, so a prompt of another length can stand in their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..keys import MASK, MASK_SIZE
from ..streams import AttnMask


def taken(extras: Mapping[str, Any], rows: int) -> tuple[dict[str, Any], AttnMask | None]:
    """An entry's extras without its mask, and the mask, if FLUX.1 would use one (it does where the size is told).

    Raises ValueError for a mask that is not for `rows` rows of txt.
    """
    if extras.get(MASK) is None or extras.get(MASK_SIZE) is None:
        return dict(extras), None
    values = extras[MASK]
    values = as_bias(values if values.ndim == 3 else values[None])
    mask = AttnMask(values, tuple(extras[MASK_SIZE]))
    if mask.rows != rows:
        raise ValueError(
            f"This CONDITIONING holds {rows} T5 rows, and an attention mask for {mask.rows}: rows were added or taken "
            "away after it was made. Apply Redux (with attn_bias) last, or with strength_type 'multiply'."
        )
    return {key: value for key, value in extras.items() if key not in (MASK, MASK_SIZE)}, mask


def as_extras(mask: AttnMask | None) -> dict[str, Any]:
    """What an entry carries for a mask."""
    return {} if mask is None else {MASK: mask.values, MASK_SIZE: mask.size}


def as_bias(values: Tensor) -> Tensor:
    """A mask of yes and no as what is added to logits: 0 and minus infinity."""
    return torch.where(values, 0.0, -torch.inf) if values.dtype == torch.bool else values


def reindexed(values: Tensor, index: Tensor) -> Tensor:
    """values [B, N, N] with the tokens `index` [M] in place of its own; -1 is a token that nothing is added for."""
    padded = torch.nn.functional.pad(values, (0, 1, 0, 1))  # the last row and column are those of -1
    index = index.to(values.device)
    return padded[:, index][:, :, index]


def replaced(values: Tensor, old: slice, new: int) -> Tensor:
    """The rows `old` of txt are another text of `new` rows; all other tokens stay.

    Raises ValueError where the mask tells those rows apart, so that it says nothing of other ones.
    """
    count = old.stop - old.start
    if new == count:
        return values
    if not all(bool((part[:, :1] == part).all()) for part in (values[:, old], values[:, :, old].transpose(1, 2))):
        raise ValueError(
            "This CONDITIONING's attention mask treats the T5 prompt's tokens differently, so there is none for a "
            f"text of {new} rows in their place. Give that text {count} rows as well, or leave out the node that set "
            "the mask."
        )
    tokens = torch.arange(values.shape[-1])
    return reindexed(values, torch.cat([tokens[: old.start], torch.full((new,), old.start), tokens[old.stop :]]))


def inserted(values: Tensor, at: int, rows: int) -> Tensor:
    """With `rows` more rows of txt from `at` on, for which nothing is added."""
    tokens = torch.arange(values.shape[-1])
    return reindexed(values, torch.cat([tokens[:at], torch.full((rows,), -1), tokens[at:]]))


def beside(parts: Sequence[tuple[AttnMask | None, Tensor]]) -> AttnMask | None:
    """The mask of two prompts side by side; with each its rows' places: of each new row its own number there, or -1.

    Raises ValueError for masks that have the picture in two sizes.
    """
    masks = [(mask, index) for mask, index in parts if mask is not None]
    if len({mask.size for mask, _ in masks}) > 1:
        raise ValueError("Got two prompts whose attention masks have the picture in different sizes; expected one.")
    total: Tensor | int = 0
    for number, (mask, index) in enumerate(masks):
        values = reindexed(mask.values, torch.cat([index, torch.arange(mask.rows, mask.values.shape[-1])]))
        if number:  # between picture and picture the first one's counts
            values[:, -mask.image :, -mask.image :] = 0
        total = total + values
    return AttnMask(total, masks[0][0].size) if masks else None


def with_texts(
    values: Tensor | None, rows: int, image: int, masks: Sequence[tuple[int, Tensor | None]]
) -> Tensor | None:
    """The mask of a forward whose texts stand behind the first `rows` of txt, each with a mask of its own, or none.

    `masks` are (length L, values [B, L + image, L + image]) of each text; None stands for no mask at all.
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
