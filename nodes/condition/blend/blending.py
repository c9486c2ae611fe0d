"""Streams -> one stream, by a mode of Blend CLIP or Blend T5. Pure torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...streams import ClipVec, Source, Span, Stream, T5Text
from ..conditioning import paired
from . import rows
from .modes import EMPTY, OTHER, TXT_MODES, VEC_MODES, Mode
from .rows import Rows, rows_of


def blend_vec(mode: str, vec: ClipVec, given: Mapping[str, ClipVec | None], weight: float) -> ClipVec:
    """`vec` blended with the streams of `given` that the mode needs.

    Raises ValueError if one of them is missing, or any has controls.
    """
    spans = []
    for own, others in _together("Blend CLIP", mode, VEC_MODES, vec, given):
        tensors = {name: rows.same_batch(own.tensor, other.tensor)[1] for name, other in others.items()}
        mixed = VEC_MODES[mode].mix(own.tensor, tensors.get(OTHER), tensors.get(EMPTY), weight)
        spans.append(replace(own, tensor=mixed))
    return ClipVec(tuple(spans))


def blend_txt(mode: str, txt: T5Text, given: Mapping[str, T5Text | None], weight: float) -> T5Text:
    """`txt` blended with the streams of `given` that the mode needs.

    Raises ValueError as `blend_vec`, and for a weight outside 0..1 in mode 'join' or below 0 in mode 'both'.
    """
    if (mode == "join" and not 0 <= weight <= 1) or (mode == "both" and weight < 0):
        raise ValueError(
            f"Blend T5: weight is {weight} in mode '{mode}', expected {'0 to 1' if mode == 'join' else 'at least 0'}: "
            "it sets how strongly the tokens of `other` act."
        )
    known = {id(stream): rows_of(stream)[0] for stream in (txt, *given.values()) if stream is not None}
    spans = []
    for own, others in _together("Blend T5", mode, TXT_MODES, txt, given):
        mine = _rows(own, known[id(txt)])
        theirs = {name: _rows(other, known[id(given[name])]) for name, other in others.items()}
        spans.append(TXT_MODES[mode].mix(mine, theirs.get(OTHER), theirs.get(EMPTY), weight))
    return T5Text(tuple(spans), _source(txt, given.get(OTHER), spans[0], f"{mode} {weight:g}"))


def _together(node: str, mode: str, modes: Mapping[str, Mode], own: Stream, given: Mapping[str, Stream | None]):
    """(own span, {input name: span}) for each part of the run."""
    for name in modes[mode].needs:
        if given.get(name) is None:
            raise ValueError(f"{node}: mode '{mode}' needs `{name}`, which is not connected.{_FIXES[name]}")
    together = [(span, {}) for span in own.spans]
    for name in modes[mode].needs:
        inputs = own.name, name
        pairs = list(paired(tuple(span for span, _ in together), given[name].spans, names=inputs, node=node))
        earlier = {id(span): others for span, others in together}
        together = [(replace(a, extras=extras), {**earlier[id(a)], name: b}) for a, b, extras in pairs]
    for span, others in together:
        if any(each.controls for each in (span, *others.values())):
            raise ValueError(
                f"{node}: a prompt has controls (regions, routes, negatives, a timeline). Blend first, then add "
                "the controls to the result."
            )
        yield span, others


_FIXES = {
    OTHER: " Connect the prompt to blend with.",
    EMPTY: " Connect the same encode node without text: differences are measured from it.",
}


def _rows(span: Span, known: Rows) -> Rows:
    return replace(known, span=span)


def _source(txt: T5Text, other: T5Text | None, made: Span, how: str) -> Source | None:
    """The source of a blend, so that it can be blended and saved again; None if either prompt's source is unknown."""
    if txt.source is None or other is None or other.source is None:
        return None
    a, b = (rows_of(each)[0] for each in (txt, other))
    length = made.tensor.shape[1]
    row_by_row = length == txt.spans[0].tensor.shape[1] and made.bias is txt.spans[0].bias
    ids = a.ids if row_by_row else (*a.ids, *b.ids)
    tokens = [[(token, 1.0) for token in (*ids, *[rows.PAD] * (length - len(ids)))]]
    text = f"{txt.source.text} / {other.source.text}"
    # In 'add' and 'subtract' the other prompt is only a direction; its words have no rows.
    others = () if how.split()[0] in ("add", "subtract") else ((0 if row_by_row else len(a.ids), other.source),)
    parts = ((0, txt.source), *others)
    return Source(text, tokens, {**txt.source.settings, "blend": how}, txt.source.encoder, parts)
