"""Streams -> CONDITIONING and back. Pure: a CONDITIONING is a list of [txt, dict] and nothing of ComfyUI is imported.

Flux's forward takes `txt`, and `vec` as `y` (in a CONDITIONING: `pooled_output`); see BFL's flux/model.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ..keys import CLIP_END, CLIP_START, GUIDANCE, POOLED, SIGMA_END, SIGMA_START
from ..streams import ClipVec, Span, T5Text
from . import attn_masks
from .choices import DEFAULT_GUIDANCE, GUIDANCE_OFF
from .controls import TXT, VEC, Bias, Made, controls_in, put_controls
from .extras import Merge, merged
from .reconcile import followed


def join(vec: ClipVec, txt: T5Text, guidance: float, merges: Mapping[str, Merge] | None = None) -> list:
    """Two streams -> a CONDITIONING, the same as CLIPTextEncodeFlux would give for the two prompts.

    `merges` says how to unite an extra that both streams carry with different values; without a rule that is an error.
    A negative `guidance` switches the guidance embedding off.
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
    """A CONDITIONING -> its two streams and its guidance; `join` puts them together again.

    Raises ValueError, in the name of `node`, for a CONDITIONING without a CLIP vector, or whose entries differ in
    guidance.
    """
    if not conditioning:
        raise ValueError(f"{node}: got an empty CONDITIONING, expected one made for FLUX.1.")
    missing = [list(txt.shape) for txt, entry in conditioning if entry.get(POOLED) is None]
    if missing:
        raise ValueError(
            f"{node}: got a CONDITIONING {missing[0]} without pooled_output, so there is no CLIP vector in "
            "it. Expected one made for FLUX.1: use CLIPTextEncodeFlux, or a CLIP that holds CLIP-L."
        )
    guidances = {entry.get(GUIDANCE, DEFAULT_GUIDANCE) for _, entry in conditioning}
    if len(guidances) > 1:
        raise ValueError(
            f"{node}: the {len(conditioning)} prompts in this CONDITIONING differ in guidance ({guidances}), expected "
            "one. Give all the same with FluxGuidance, or take them before they are combined."
        )
    guidance = guidances.pop()
    rests = [{k: v for k, v in entry.items() if k not in (POOLED, GUIDANCE)} for _, entry in conditioning]
    vecs, txts = [], []
    for (tensor, entry), rest in zip(conditioning, rests, strict=True):
        extras, controls = followed(tensor, entry[POOLED], rest)
        extras, attn_mask = attn_masks.taken(extras, tensor.shape[1])
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
    """(vec, txt, extras of both): one to one where their times agree, else wherever their times overlap.

    Any two streams' encodings go together so; `merges` is as in `join`, `names` are the two inputs of the `node` that
    asks. Raises ValueError, in their words, where the two cannot go together.
    """
    merges, said = merges or {}, (names, node)
    if [_time(span) for span in vecs] == [_time(span) for span in txts]:
        for vec, txt in zip(vecs, txts, strict=True):
            yield vec, txt, merged(vec.extras, txt.extras, merges, *said)
        return
    if min(len(vecs), len(txts)) > 1 and len({_unit(span) for span in vecs + txts} - {None}) != 1:
        raise ValueError(
            f"{node}{': ' if node else ''}`{names[0]}` holds {len(vecs)} encodings and `{names[1]}` {len(txts)}, and "
            "they do not say which belongs to which, or not in the same unit of time. Expected as many on both, or one "
            "of them single: take each pair by itself, then combine what comes out."
        )
    for vec in vecs:
        for txt in txts:
            start, end = max(_time(vec)[0], _time(txt)[0]), min(_time(vec)[1], _time(txt)[1])
            if start < end:
                # The ranges differ by design here, so they are intersected instead of merged.
                unit = _unit(vec) or _unit(txt)
                timed = {} if unit is None else during(unit, start, end)
                yield vec, txt, {**merged(_untimed(vec), _untimed(txt), merges, *said), **timed}


def during(unit: str, start: float, end: float) -> dict[str, float]:
    """The extras that limit an encoding to a part of a run, in a coordinate that rises: percent / 100, or -sigma."""
    return {SIGMA_START: -start, SIGMA_END: -end} if unit == SIGMA_START else {CLIP_START: start, CLIP_END: end}


def _unit(span: Span) -> str | None:
    """By which of ComfyUI's keys an encoding is limited to a part of the run; None where it lasts throughout."""
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
    """The widths (vec, txt) of every entry, for checking against a model; vec is 0 where an entry has none."""

    def width(tensor: Tensor | None) -> int:
        return 0 if tensor is None else tensor.shape[-1]

    return [(width(entry.get(POOLED)), width(txt)) for txt, entry in conditioning]


def check_pair(a: list, b: list, node: str, merges: Mapping[str, Merge] | None = None) -> None:
    """Raises ValueError, in the words of a node whose inputs are `a` and `b`, where those two cannot go together."""
    (vec_a, txt_a, _), (vec_b, txt_b, _) = (split(each, f"{node}, `{name}`") for name, each in (("a", a), ("b", b)))
    for one, other in ((vec_a, vec_b), (txt_a, txt_b)):
        for _ in paired(one.spans, other.spans, merges, ("a", "b"), node):
            pass
