"""Streams with regions, negatives, and prompts that differ from block to block. Pure torch.

Neutral settings add no control: an empty mask, a route to no block and a strength of 0 return the input stream, so the
result equals the native graph's bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ...streams import ClipVec, Span, T5Text
from ..blend.rows import same_batch
from ..blend.vectors import towards
from ..blocks import FINAL, Blocks
from ..conditioning import Merge, join, paired, split
from ..controls import Nag, PlacedText, Timeline, VecDelta

NAG = "T5 Negative (NAG)"


def region(base: T5Text, text: T5Text, mask: Tensor, kind: PlacedText) -> T5Text:
    """`base` with `text` placed over it where `mask` [B, H, W] or [H, W] is; `kind` has the region's other settings.

    Raises ValueError for an invalid mask, and for streams with a timeline.
    """
    mask = checked_mask(mask)
    spans = []
    for under, over, extras in paired(base.spans, text.spans, names=("base", "region"), node="T5 Region"):
        everywhere = bool((mask == 1).all()) and kind.ratio == 0 and kind.strength == 1
        if not mask.any() or (kind.strength == 0 and kind.ratio == 1) or kind.blocks.is_none:
            spans.append(replace(under, extras=extras))
        elif everywhere and kind.blocks.is_all and kind.when.is_all and not _texts(under):
            spans.append(replace(over, extras=extras))
        else:
            spans.append(replace(with_text(under, over, replace(kind, mask=mask)), extras=extras))
    return T5Text(tuple(spans))


def checked_mask(mask: Tensor) -> Tensor:
    """A MASK as float32 [B, H, W] on the CPU, clamped to 0..1. Raises ValueError for other shapes, NaN or infinity."""
    if mask.ndim not in (2, 3) or 0 in mask.shape:
        raise ValueError(f"T5 Region: got a mask of shape {list(mask.shape)}, expected [B, H, W], one value per pixel.")
    if not mask.isfinite().all():
        raise ValueError("T5 Region: the mask has values that are not finite (NaN or infinity). Use another mask.")
    return mask.reshape(-1, *mask.shape[-2:]).detach().to("cpu", torch.float32).clamp(0, 1)


def nag(base: T5Text, negative: T5Text, kind: Nag) -> T5Text:
    """`base` with a negative in the attention (NAG, arXiv 2505.21179); scale 1 or alpha 0 is neutral.

    Raises ValueError if `negative` has regions or routes, or either has a timeline.
    """
    if kind.scale == 1 or kind.alpha == 0 or kind.blocks.is_none:
        return base
    spans = []
    for text, away, extras in paired(base.spans, negative.spans, names=("txt", "negative"), node=NAG):
        if _texts(away):
            raise ValueError(f"{NAG}: `negative` has regions or routes, expected a plain prompt.")
        spans.append(replace(with_text(text, away, kind), extras=extras))
    return T5Text(tuple(spans))


def guided(vec: ClipVec, negative: ClipVec, positive: ClipVec | None, weight: float, delta: VecDelta | None) -> ClipVec:
    """vec + weight * (positive - negative); `positive` defaults to the prompt itself.

    With `delta` the difference is added after `vector_in`, in the blocks and the part of the run of `delta`, as in the
    code published with arXiv 2602.09268. Without, it is added before `vector_in`, for all blocks and the whole run.
    Raises ValueError for batches of different sizes, or a timeline in `vec` without `delta`.
    """
    if weight == 0 or (delta is not None and delta.blocks.is_none):
        return vec
    spans = []
    for own, away, extras in paired(vec.spans, negative.spans, names=("vec", "negative"), node="CLIP Negative"):
        wanted = own.tensor if positive is None else _only(positive)
        if delta is None:
            _refuse_timeline(own)
            start, plus, minus = _same_rows(own.tensor, wanted, away.tensor)
            spans.append(replace(own, tensor=towards(start, plus, minus, weight), extras=extras))
            continue
        same_batch(own.tensor, away.tensor)  # raises for batches of different sizes
        others = [away.tensor] if positive is None else [away.tensor, wanted]
        weights = (-weight,) if positive is None else (-weight, weight)
        moved = replace(
            delta, vecs=torch.stack(_same_rows(*others), 1), weights=weights, own=weight if positive is None else 0
        )
        spans.append(replace(own, extras=extras, controls=(*own.controls, moved)))
    return ClipVec(tuple(spans))


def _only(stream: ClipVec) -> Tensor:
    if len(stream.spans) > 1:
        raise ValueError(
            f"CLIP Negative: `positive` has {len(stream.spans)} encodings, expected one. Connect CLIP-L Encode."
        )
    return stream.spans[0].tensor


def _same_rows(*tensors: Tensor) -> list[Tensor]:
    """All tensors expanded to the largest batch size, with the first one's dtype and device."""
    count = max(tensor.shape[0] for tensor in tensors)
    return [same_batch(tensor, tensors[0].new_empty(count, 0))[0].to(tensors[0]) for tensor in tensors]


# ---- block routing


def routed(a: list, b: list, vec_blocks: Blocks, txt_blocks: Blocks, merges: Mapping[str, Merge] | None = None) -> list:
    """A CONDITIONING with prompt `b`'s vec and txt in the given blocks and `a`'s in all others; guidance is `a`'s.

    Raises ValueError if a prompt's vec already differs from block to block, or a routed prompt has a timeline.
    """
    vec_a, txt_a, guidance = split(a)
    vec_b, txt_b, _ = split(b)
    vecs = [
        _routed_vec(one, other, extras, vec_blocks) for one, other, extras in paired(vec_a.spans, vec_b.spans, merges)
    ]
    txts = [
        _routed_txt(one, other, extras, txt_blocks) for one, other, extras in paired(txt_a.spans, txt_b.spans, merges)
    ]
    return join(ClipVec(tuple(vecs)), T5Text(tuple(txts)), guidance, merges)


def _routed_vec(a: Span, b: Span, extras: Mapping, blocks: Blocks) -> Span:
    if blocks.is_none or blocks.is_all:
        return replace(b if blocks.is_all else a, extras=extras)
    if any(isinstance(each, VecDelta) for each in (*a.controls, *b.controls)):
        raise ValueError(
            "Block Routing: a prompt's CLIP vector already differs from block to block. Route first, then add CLIP "
            "Negative or another route to the result."
        )
    _refuse_timeline(b)
    _refuse_timeline(a)
    # The last layer uses the model's input vec unchanged, so the base is the prompt that the last layer is to use.
    base, other, where = (b, a, blocks.others()) if blocks.final else (a, b, blocks)
    tensor, other_tensor = same_batch(base.tensor, other.tensor)
    delta = VecDelta(other_tensor[:, None], (1.0,), own=-1.0, blocks=where)
    return replace(base, tensor=tensor, extras=extras, controls=(*base.controls, delta))


def _routed_txt(a: Span, b: Span, extras: Mapping, blocks: Blocks) -> Span:
    if blocks.is_all or Blocks(tuple(word for word in blocks.words if word != FINAL), blocks.without).is_none:
        return replace(b if blocks.is_all else a, extras=extras)
    return replace(with_text(a, b, PlacedText(blocks=blocks)), extras=extras)


# ---- placed texts


def with_text(under: Span, over: Span, control: PlacedText) -> Span:
    """`under` with the text of `over` placed over it; placed texts of `over` stay inside its area.

    Raises ValueError for timelines, and for batches of different sizes.
    """
    _refuse_timeline(under)
    _refuse_timeline(over)
    same_batch(under.tensor, over.tensor)
    number = len(_texts(under)) + 1
    mask = over.attn_mask
    own = {} if mask is None else {"attn_mask": mask.values, "attn_size": mask.size}
    text = replace(control, rows=over.tensor, bias=over.bias, **own)
    inside = (
        replace(each, inside=each.inside + number) if isinstance(each, PlacedText) else each for each in over.controls
    )
    return replace(under, controls=(*under.controls, text, *inside))


def _texts(span: Span) -> list[PlacedText]:
    return [each for each in span.controls if isinstance(each, PlacedText)]


def _refuse_timeline(span: Span) -> None:
    if any(isinstance(each, Timeline) for each in span.controls):
        raise ValueError(
            "Got a prompt with a timeline in steps or with fades, which is evaluated only during sampling. Apply "
            "regions, routes, negatives and blends to the prompts first, then schedule the results."
        )
