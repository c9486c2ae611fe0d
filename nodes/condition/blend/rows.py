"""Blends of T5's rows: two prompts concatenated, interpolated row by row, or one moved in a direction. Pure torch.

FLUX.1 treats T5's rows as a set and masks none of them. So prompts of different lengths can be concatenated, but must
not be padded with zeros, which the picture would attend to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...streams import Span, T5Text
from .. import attn_masks


@dataclass(frozen=True, eq=False)
class Rows:
    """One encoding as rows. The first `real` rows are tokens, including the end token; the rest are padding.

    `ids` are the ids of the real rows. If they are unknown, `ids` is () and all rows count as real.
    """

    span: Span
    real: int
    ids: tuple[int | str, ...] = ()

    @property
    def tensor(self) -> Tensor:
        return self.span.tensor

    def bias(self) -> Tensor:
        """[B, L] on the CPU, the log weight of each row; zero without weights."""
        return torch.zeros(self.tensor.shape[:2]) if self.span.bias is None else self.span.bias


PAD = 0  # T5's pad token


def rows_of(txt: T5Text) -> list[Rows]:
    """The rows of each span, with their tokens if the stream's source is known."""
    ids = tuple(token for chunk in txt.source.tokens for token, _ in chunk) if txt.source else ()
    real = max((place + 1 for place, token in enumerate(ids) if token != PAD), default=0)
    return [
        Rows(span, real, ids[:real]) if len(ids) == span.tensor.shape[1] else Rows(span, span.tensor.shape[1])
        for span in txt.spans
    ]


def side_by_side(a: Rows, b: Rows, weight_a: float, weight_b: float, filler: Rows) -> Span:
    """The real rows of both prompts, concatenated, with weights in the attention, and the padding of `filler`.

    A row of weight w (a bias of log w on its column) acts as w copies of it, so a prompt joined with itself, both at
    weight 0.5, equals that prompt.
    """
    tensors = same_batch(a.tensor, b.tensor.to(a.tensor))
    biases = same_batch(a.bias(), b.bias())
    pads = same_batch(filler.tensor[:, filler.real :], tensors[0])[0]
    pad_bias = same_batch(filler.bias()[:, filler.real :], tensors[0])[0]
    weights = torch.tensor([weight_a, weight_b]).log()
    tensor = torch.cat([tensors[0][:, : a.real], tensors[1][:, : b.real], pads.to(a.tensor)], 1)
    bias = torch.cat([biases[0][:, : a.real] + weights[0], biases[1][:, : b.real] + weights[1], pad_bias], 1)
    plain = weight_a == weight_b == 1 and a.span.bias is None and b.span.bias is None
    masks = attn_masks.concatenated([(rows.span.attn_mask, _places(rows, a, b, filler)) for rows in (a, b)])
    return replace(a.span, tensor=tensor, bias=None if plain else bias, attn_mask=masks)


def _places(rows: Rows, a: Rows, b: Rows, filler: Rows) -> Tensor:
    """For each row of `side_by_side`, its index in `rows`; -1 if it is the other prompt's."""
    real = [torch.arange(each.real) if each is rows else torch.full((each.real,), -1) for each in (a, b)]
    pads = torch.arange(filler.real, filler.tensor.shape[1])
    return torch.cat([*real, pads if filler is rows else torch.full_like(pads, -1)])


def fade(a: Rows, b: Rows, share: float) -> Span:
    """Mode 'join': both prompts with weights 1 - share and share; shares 0 and 1 are the prompts themselves.

    The padding is that of the prompt with the larger weight.
    """
    if share <= 0.0 or share >= 1.0:
        return (b if share >= 1.0 else a).span
    return side_by_side(a, b, 1.0 - share, share, filler=a if share <= 0.5 else b)


def both(a: Rows, b: Rows, weight: float) -> Span:
    """Mode 'both': the first prompt at weight 1 and the second at `weight`."""
    return a.span if weight == 0.0 else side_by_side(a, b, 1.0, weight, filler=a)


def lerp(a: Rows, b: Rows, weight: float) -> Span:
    """Mode 'lerp': linear interpolation row by row, for texts with the same structure.

    Raises ValueError if the row counts differ, a prompt has weights in the attention, or `b` has an attention mask.
    """
    if a.tensor.shape[1] != b.tensor.shape[1] or a.real != b.real:
        raise ValueError(
            f"Blend T5: 'lerp' mixes token by token, but the prompts have {a.real} and {b.real} tokens (with padding "
            f"{a.tensor.shape[1]} and {b.tensor.shape[1]}){_first_difference(a, b)}. Write both with the same number "
            "of tokens, or use 'join'."
        )
    for rows in (a, b):
        if rows.span.bias is not None:
            raise ValueError(
                "Blend T5: 'lerp' cannot mix a prompt that has weights in the attention. Use 'join', or set `weights` "
                "to 'embedding' in T5 Encode."
            )
    if b.span.attn_mask is not None:
        raise ValueError(
            "Blend T5: 'lerp' cannot mix an `other` that has an attention mask (Redux with attn_bias). Use 'join', or "
            "apply Redux to the result."
        )
    one, other = same_batch(a.tensor, b.tensor)
    return replace(a.span, tensor=torch.lerp(one, other.to(one), weight))


def _first_difference(a: Rows, b: Rows) -> str:
    places = [place for place, (one, other) in enumerate(zip(a.ids, b.ids, strict=False)) if one != other]
    return f"; they first differ at token {places[0] + 1}" if places else ""


def towards(a: Rows, plus: Rows, minus: Rows, weight: float) -> Span:
    """Modes 'add' and 'subtract': a steering vector (arXiv 2603.17998), added to all real rows of `a`.

    It is weight * (mean of `plus`'s real rows - mean of `minus`'s real rows).
    """
    direction = _mean(plus) - _mean(minus)  # [B, 1, 4096]
    tensor, direction = same_batch(a.tensor, direction)
    moved = tensor[:, : a.real] + weight * direction.to(tensor)
    return replace(a.span, tensor=torch.cat([moved, tensor[:, a.real :]], 1))


def _mean(rows: Rows) -> Tensor:
    return rows.tensor[:, : rows.real].mean(1, keepdim=True)


def same_batch(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both tensors with the same batch size; a single prompt is expanded to the other's batch.

    Raises ValueError for two batches of different sizes.
    """
    counts = {a.shape[0], b.shape[0]} - {1}
    if len(counts) > 1:
        raise ValueError(
            f"Got a batch of {a.shape[0]} prompts and one of {b.shape[0]}, expected two batches of the same size, "
            "or a single prompt and a batch."
        )
    count = max(counts, default=1)
    return tuple(each if each.shape[0] == count else each.expand(count, *each.shape[1:]) for each in (a, b))
