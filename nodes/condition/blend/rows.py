"""T5's rows mixed: two prompts side by side, row by row, or one moved in a direction. Pure torch.

FLUX.1 sees T5's rows as a set and masks none of them, so two prompts of unequal length can stand side by side, but
never be cut to one length or filled up with zeros, which it would attend to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...streams import Span, T5Text
from .. import attn_masks


@dataclass(frozen=True, eq=False)
class Rows:
    """One encoding as rows: `real` of them stand for tokens, the end token's among them; the rest only fill it up.

    `ids` are its tokens, () where they are unknown; then all rows count as real.
    """

    span: Span
    real: int
    ids: tuple[int | str, ...] = ()

    @property
    def tensor(self) -> Tensor:
        return self.span.tensor

    def bias(self) -> Tensor:
        """[B, L], in main memory as all weights; zero where nothing is weighted."""
        return torch.zeros(self.tensor.shape[:2]) if self.span.bias is None else self.span.bias


PAD = 0  # T5's


def rows_of(txt: T5Text) -> list[Rows]:
    """The rows of each span, with what is known of its tokens."""
    ids = tuple(token for chunk in txt.source.tokens for token, _ in chunk) if txt.source else ()
    real = max((place + 1 for place, token in enumerate(ids) if token != PAD), default=0)
    return [
        Rows(span, real, ids[:real]) if len(ids) == span.tensor.shape[1] else Rows(span, span.tensor.shape[1])
        for span in txt.spans
    ]


def side_by_side(a: Rows, b: Rows, weight_a: float, weight_b: float, filler: Rows) -> Span:
    """The real rows of both, seen as if each stood there so many times, and one block of pads, those of `filler`.

    A row of weight w is a row that stands there w times (facts: the column bias log w), so that a prompt beside itself,
    both at a half, is that prompt.
    """
    tensors = same_batch(a.tensor, b.tensor.to(a.tensor))
    biases = same_batch(a.bias(), b.bias())
    pads = same_batch(filler.tensor[:, filler.real :], tensors[0])[0]
    pad_bias = same_batch(filler.bias()[:, filler.real :], tensors[0])[0]
    weights = torch.tensor([weight_a, weight_b]).log()
    tensor = torch.cat([tensors[0][:, : a.real], tensors[1][:, : b.real], pads.to(a.tensor)], 1)
    bias = torch.cat([biases[0][:, : a.real] + weights[0], biases[1][:, : b.real] + weights[1], pad_bias], 1)
    plain = weight_a == weight_b == 1 and a.span.bias is None and b.span.bias is None
    masks = attn_masks.beside([(rows.span.attn_mask, _places(rows, a, b, filler)) for rows in (a, b)])
    return replace(a.span, tensor=tensor, bias=None if plain else bias, attn_mask=masks)


def _places(rows: Rows, a: Rows, b: Rows, filler: Rows) -> Tensor:
    """Which row of `rows` each row of `side_by_side` is; -1 for another prompt's."""
    real = [torch.arange(each.real) if each is rows else torch.full((each.real,), -1) for each in (a, b)]
    pads = torch.arange(filler.real, filler.tensor.shape[1])
    return torch.cat([*real, pads if filler is rows else torch.full_like(pads, -1)])


def fade(a: Rows, b: Rows, share: float) -> Span:
    """From one prompt to another: side by side, the weights adding up to 1; the ends are the prompts themselves.

    The pads are those of the heavier prompt.
    """
    if share <= 0.0 or share >= 1.0:
        return (b if share >= 1.0 else a).span
    return side_by_side(a, b, 1.0 - share, share, filler=a if share <= 0.5 else b)


def both(a: Rows, b: Rows, weight: float) -> Span:
    """The first prompt whole, the second beside it, seen `weight` times."""
    return a.span if weight == 0.0 else side_by_side(a, b, 1.0, weight, filler=a)


def lerp(a: Rows, b: Rows, weight: float) -> Span:
    """Row by row, for texts of one template. Raises ValueError where the tokens do not line up."""
    if a.tensor.shape[1] != b.tensor.shape[1] or a.real != b.real:
        raise ValueError(
            f"Blend T5: 'lerp' goes row by row, and the prompts have {a.real} and {b.real} tokens in "
            f"{a.tensor.shape[1]} "
            f"and {b.tensor.shape[1]} rows{_parting(a, b)}. Word them alike, token for token, or use 'join'."
        )
    for rows in (a, b):
        if rows.span.bias is not None:
            raise ValueError(
                "Blend T5: 'lerp' mixes rows, and one prompt has weights in the attention, a row's own. Use 'join', or "
                "weights 'embedding' in T5 Encode."
            )
    if b.span.attn_mask is not None:
        raise ValueError(
            "Blend T5: 'lerp' mixes rows, and `other` comes with an attention mask for its own (Redux with attn_bias). "
            "Use 'join', or apply Redux to what comes out."
        )
    one, other = same_batch(a.tensor, b.tensor)
    return replace(a.span, tensor=torch.lerp(one, other.to(one), weight))


def _parting(a: Rows, b: Rows) -> str:
    places = [place for place, (one, other) in enumerate(zip(a.ids, b.ids, strict=False)) if one != other]
    return f"; they part at token {places[0] + 1}" if places else ""


def towards(a: Rows, plus: Rows, minus: Rows, weight: float) -> Span:
    """All real rows of `a`, moved in the direction from `minus` to `plus`: the difference of their rows' means.

    A steering vector; see arXiv 2603.17998.
    """
    direction = _mean(plus) - _mean(minus)  # [B, 1, 4096]
    tensor, direction = same_batch(a.tensor, direction)
    moved = tensor[:, : a.real] + weight * direction.to(tensor)
    return replace(a.span, tensor=torch.cat([moved, tensor[:, a.real :]], 1))


def _mean(rows: Rows) -> Tensor:
    return rows.tensor[:, : rows.real].mean(1, keepdim=True)


def same_batch(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with as many rows of a batch; one prompt goes with all of another's.

    Raises ValueError for two batches of different sizes.
    """
    counts = {a.shape[0], b.shape[0]} - {1}
    if len(counts) > 1:
        raise ValueError(
            f"Got a batch of {a.shape[0]} prompts and one of {b.shape[0]}, expected as many in both, or a single "
            "prompt, which goes with all of them."
        )
    count = max(counts, default=1)
    return tuple(each if each.shape[0] == count else each.expand(count, *each.shape[1:]) for each in (a, b))
