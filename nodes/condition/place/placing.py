"""Streams with texts of their own, negatives, and streams that differ from block to block. Pure torch.

What would change nothing adds nothing: a region without a place, a route to no block and a guidance of strength 0 give
the stream that came in, so that a neutral graph is the native one bit for bit.
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
    """`text` where `mask` [B, H, W] or [H, W] is, over `base`; all else of the region is as in `kind`.

    Raises ValueError for a mask that is none, and for streams with a timeline.
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
    """A MASK as [B, H, W] of 0 to 1. Raises ValueError for other shapes and for what is no number."""
    if mask.ndim not in (2, 3) or 0 in mask.shape:
        raise ValueError(f"T5 Region: got a mask of shape {list(mask.shape)}, expected [B, H, W], one value per pixel.")
    if not mask.isfinite().all():
        raise ValueError("T5 Region: the mask holds values that are no numbers (NaN or infinite).")
    return mask.reshape(-1, *mask.shape[-2:]).detach().to("cpu", torch.float32).clamp(0, 1)


def nag(base: T5Text, negative: T5Text, kind: Nag) -> T5Text:
    """The picture's attention steered from `base` away from `negative`; scale 1 or alpha 0 is neutral."""
    if kind.scale == 1 or kind.alpha == 0 or kind.blocks.is_none:
        return base
    spans = []
    for text, away, extras in paired(base.spans, negative.spans, names=("txt", "negative"), node=NAG):
        if _texts(away):
            raise ValueError(f"{NAG}: `negative` holds regions or routes of its own, expected a plain text.")
        spans.append(replace(with_text(text, away, kind), extras=extras))
    return T5Text(tuple(spans))


def guided(vec: ClipVec, negative: ClipVec, positive: ClipVec | None, weight: float, shift: VecDelta | None) -> ClipVec:
    """vec + weight * (positive - negative); `positive` is the prompt itself unless given.

    With `shift` it is added after CLIP's MLP, in that shift's blocks and part of the run, as the code published with
    arXiv 2602.09268 does; without, before the MLP and so everywhere.
    """
    if weight == 0 or (shift is not None and shift.blocks.is_none):
        return vec
    spans = []
    for own, away, extras in paired(vec.spans, negative.spans, names=("vec", "negative"), node="CLIP Negative"):
        wanted = own.tensor if positive is None else _only(positive)
        if shift is None:
            _no_timeline(own)
            start, plus, minus = _alike(own.tensor, wanted, away.tensor)
            spans.append(replace(own, tensor=towards(start, plus, minus, weight), extras=extras))
            continue
        same_batch(own.tensor, away.tensor)  # raises for batches of two sizes
        others = [away.tensor] if positive is None else [away.tensor, wanted]
        weights = (-weight,) if positive is None else (-weight, weight)
        moved = replace(
            shift, vecs=torch.stack(_alike(*others), 1), weights=weights, own=weight if positive is None else 0
        )
        spans.append(replace(own, extras=extras, controls=(*own.controls, moved)))
    return ClipVec(tuple(spans))


def _only(stream: ClipVec) -> Tensor:
    if len(stream.spans) > 1:
        raise ValueError(f"Got {len(stream.spans)} encodings for `positive`, expected one, from CLIP-L Encode.")
    return stream.spans[0].tensor


def _alike(*tensors: Tensor) -> list[Tensor]:
    """All with as many rows of a batch."""
    count = max(tensor.shape[0] for tensor in tensors)
    return [same_batch(tensor, tensors[0].new_empty(count, 0))[0].to(tensors[0]) for tensor in tensors]


# ---- block routing


def routed(a: list, b: list, vec_blocks: Blocks, txt_blocks: Blocks, merges: Mapping[str, Merge] | None = None) -> list:
    """A CONDITIONING that shows prompt `b`'s CLIP and T5 to some blocks, and `a`'s to all others; guidance is `a`'s.

    Raises ValueError where the two cannot be told apart block by block.
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
            "Negative or another route to what comes out."
        )
    _no_timeline(b)
    _no_timeline(a)
    # The last layer takes vec as it is given to the model, so that is the vec of the prompt which it shall see.
    base, other, where = (b, a, blocks.others()) if blocks.final else (a, b, blocks)
    tensor, other_tensor = same_batch(base.tensor, other.tensor)
    shift = VecDelta(other_tensor[:, None], (1.0,), own=-1.0, blocks=where)
    return replace(base, tensor=tensor, extras=extras, controls=(*base.controls, shift))


def _routed_txt(a: Span, b: Span, extras: Mapping, blocks: Blocks) -> Span:
    if blocks.is_all or Blocks(tuple(word for word in blocks.words if word != FINAL), blocks.without).is_none:
        return replace(b if blocks.is_all else a, extras=extras)
    return replace(with_text(a, b, PlacedText(blocks=blocks)), extras=extras)


# ---- texts of their own


def with_text(under: Span, over: Span, control: PlacedText) -> Span:
    """`under`, over which lies the text of `over`; texts that `over` has lie inside of it.

    Raises ValueError for timelines, and where the two are batches of different sizes.
    """
    _no_timeline(under)
    _no_timeline(over)
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


def _no_timeline(span: Span) -> None:
    if any(isinstance(each, Timeline) for each in span.controls):
        raise ValueError(
            "Got a prompt with a timeline in steps or with fades, which is only played while the picture is sampled. "
            "Set regions, routes, negatives and blends on the prompts first, then schedule what comes out."
        )
