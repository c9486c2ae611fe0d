"""Streams -> CONDITIONING and back. Pure torch: a CONDITIONING is a list of [txt, dict].

See keys.py for ComfyUI's names of vec.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ..keys import CLIP_END, CLIP_START, GUIDANCE, POOLED, SIGMA_END, SIGMA_START
from ..streams import TXT, VEC, ClipVec, Span, T5Text
from . import attn_masks
from .choices import DEFAULT_GUIDANCE, GUIDANCE_OFF
from .controls import Bias, Made, controls_in, put_controls
from .extras import Merge, merged
from .reconcile import reconciled


def join(vec: ClipVec, txt: T5Text, guidance: float, merges: Mapping[str, Merge] | None = None) -> list:
    """Two streams -> a CONDITIONING, equal to CLIPTextEncodeFlux's for the two prompts.

    `merges` maps a key of the extras to a function that merges two different values. A negative `guidance` switches the
    guidance embedding off. Raises ValueError if the streams' times or extras conflict.
    """
    entries = []
    for vec_span, txt_span, extras in paired(vec.spans, txt.spans, merges or {}):
        extras = {**extras, **attn_masks.as_extras(txt_span.attn_mask)}
        extras = put_controls(
            extras, (*controls_in(txt_span), *controls_in(vec_span)), Made(txt_span.tensor, vec_span.tensor)
        )
        guided = {GUIDANCE: None if guidance < 0 else guidance}
        entries.append([txt_span.tensor, {POOLED: vec_span.tensor, **extras, **guided}])
    return entries


def split(conditioning: list, node: str = "Split Conditioning") -> tuple[ClipVec, T5Text, float]:
    """A CONDITIONING -> its two streams and its guidance; the inverse of `join`.

    Raises ValueError, with the node's name, for a CONDITIONING that is empty or has no CLIP vector, and for entries
    with different guidance.
    """
    if not conditioning:
        raise ValueError(f"{node}: got an empty CONDITIONING, expected one made for FLUX.1.")
    missing = [list(txt.shape) for txt, entry in conditioning if entry.get(POOLED) is None]
    if missing:
        raise ValueError(
            f"{node}: got a CONDITIONING {missing[0]} without pooled_output, so it has no CLIP vector. Expected one "
            "made for FLUX.1: use CLIPTextEncodeFlux, or a CLIP that contains CLIP-L."
        )
    guidances = {entry.get(GUIDANCE, DEFAULT_GUIDANCE) for _, entry in conditioning}
    if len(guidances) > 1:
        raise ValueError(
            f"{node}: the {len(conditioning)} prompts in this CONDITIONING differ in guidance ({guidances}), expected "
            "one. Set the same guidance for all with FluxGuidance, or connect each prompt before they are combined."
        )
    guidance = guidances.pop()
    rests = [{k: v for k, v in entry.items() if k not in (POOLED, GUIDANCE)} for _, entry in conditioning]
    vecs, txts = [], []
    for (tensor, entry), rest in zip(conditioning, rests, strict=True):
        extras, controls = reconciled(tensor, entry[POOLED], rest)
        extras, attn_mask = attn_masks.take_mask(extras, tensor.shape[1])
        bias = next((each.columns for each in controls if isinstance(each, Bias)), None)
        streams = {
            stream: tuple(each for each in controls if each.stream == stream and not isinstance(each, Bias))
            for stream in (VEC, TXT)
        }
        vecs.append(Span(entry[POOLED], extras, controls=streams[VEC]))
        txts.append(Span(tensor, extras, bias, streams[TXT], attn_mask))
    return ClipVec(tuple(vecs)), T5Text(tuple(txts)), GUIDANCE_OFF if guidance is None else guidance


def paired(
    vecs: tuple[Span, ...], txts: tuple[Span, ...], merges: Mapping[str, Merge] | None = None,
    names: Sequence[str] = ("vec", "txt"), node: str = "",
):  # fmt: skip
    """(vec, txt, merged extras) for each pair of spans: one to one if their times are equal, else all that overlap.

    It works for any two streams, not only vec and txt. `merges` is as in `join`; `names` (the two inputs) and `node`
    are for messages. Raises ValueError if the spans cannot be paired or their extras conflict.
    """
    merges, context = merges or {}, (names, node)
    if [_time(span) for span in vecs] == [_time(span) for span in txts]:
        for vec, txt in zip(vecs, txts, strict=True):
            yield vec, txt, merged(vec.extras, txt.extras, merges, *context)
        return
    if min(len(vecs), len(txts)) > 1 and len({_unit(span) for span in vecs + txts} - {None}) != 1:
        raise ValueError(
            f"{node}{': ' if node else ''}`{names[0]}` has {len(vecs)} encodings and `{names[1]}` {len(txts)}, but "
            "their times are missing or in different units, so they cannot be paired. Expected one encoding on either "
            "input: connect each pair separately, then combine the results."
        )
    for vec in vecs:
        for txt in txts:
            start, end = max(_time(vec)[0], _time(txt)[0]), min(_time(vec)[1], _time(txt)[1])
            if start < end:
                # The ranges differ, so they are intersected instead of merged.
                unit = _unit(vec) or _unit(txt)
                timed = {} if unit is None else during(unit, start, end)
                yield vec, txt, {**merged(_untimed(vec), _untimed(txt), merges, *context), **timed}


def during(unit: str, start: float, end: float) -> dict[str, float]:
    """The extras that limit an encoding to a part of a run; `start` < `end` are shares of time (0 to 1), or -sigma."""
    return {SIGMA_START: -start, SIGMA_END: -end} if unit == SIGMA_START else {CLIP_START: start, CLIP_END: end}


def _unit(span: Span) -> str | None:
    """The key that limits an encoding to a part of the run (SIGMA_START or CLIP_START); None if there is none."""
    return next((key for key in (SIGMA_START, CLIP_START) if key in span.extras), None)


def _time(span: Span) -> tuple[float, float]:
    unit = _unit(span)
    if unit == SIGMA_START:
        return -span.extras[SIGMA_START], -span.extras[SIGMA_END]
    return (span.extras[CLIP_START], span.extras[CLIP_END]) if unit else (-math.inf, math.inf)


def _untimed(span: Span) -> dict[str, Any]:
    return {
        key: value for key, value in span.extras.items() if key not in (CLIP_START, CLIP_END, SIGMA_START, SIGMA_END)
    }


def widths(conditioning: list) -> list[tuple[int, int]]:
    """The widths (vec, txt) of every entry, for comparison with a model; vec is 0 if an entry has none."""

    def width(tensor: Tensor | None) -> int:
        return 0 if tensor is None else tensor.shape[-1]

    return [(width(entry.get(POOLED)), width(txt)) for txt, entry in conditioning]


def check_pair(a: list, b: list, node: str, merges: Mapping[str, Merge] | None = None) -> None:
    """Raises ValueError, for a node with the inputs `a` and `b`, if their prompts cannot be paired."""
    (vec_a, txt_a, _), (vec_b, txt_b, _) = (split(each, f"{node}, `{name}`") for name, each in (("a", a), ("b", b)))
    for one, other in ((vec_a, vec_b), (txt_a, txt_b)):
        for _ in paired(one.spans, other.spans, merges, ("a", "b"), node):
            pass
