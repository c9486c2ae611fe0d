"""Adapts controls to a prompt that native nodes have changed since the controls were set. Pure torch.

Any node that takes a CONDITIONING may come between the node that set a control and the sampler. It changes `txt` and
`vec` but not the controls. So the entry's tensors are compared with those that the controls were made for:

    change                                 the control
    none                                   acts as it was set
    rows appended (Concat, Redux)          the rows belong to the first text; a timeline keeps them after its prompts
    multiplied by a number (Multiply)      its texts and vectors are multiplied too
    all zero (ZeroOut)                     is removed with its prompt
    mixed with another prompt (Average)    a placed text or a weight acts on the mixture; a timeline raises, because it
                                           would replace the mixture by its own prompts
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..streams import TXT, VEC
from .controls import (
    TITLES,
    Bias,
    Control,
    Controls,
    PlacedText,
    T5Timeline,
    Timeline,
    VecDelta,
    take_controls,
)

ROUNDING = 1e-5  # relative to a prompt's largest value: the rounding error of multiplication in half precision


@dataclass(frozen=True, eq=False)
class Change:
    """The factor of a prompt's rows or vector (None: not a multiple of the original), and the rows after them."""

    scale: float | None = 1.0
    appended: Tensor | None = None


def reconciled(txt: Tensor, vec: Tensor | None, extras: Mapping[str, Any]) -> tuple[dict[str, Any], Controls]:
    """An entry's extras without controls, and its controls, adapted to the entry's present `txt` and `vec`.

    Raises ValueError if a control cannot be adapted.
    """
    rest, cond = take_controls(extras)
    if cond is None or cond.made is None:
        return rest, cond.controls if cond else ()
    changes = {TXT: changed(cond.made.txt, txt), VEC: changed(cond.made.vec, vec)}
    return rest, tuple(_adapted(cond.controls, changes, txt.shape[1]))


def changed(made: Tensor | None, now: Tensor | None) -> Change:
    """How `now` differs from `made`; both are txt [B, L, C] or vec [B, C]."""
    if made is now or made is None:
        return Change()
    if now is None:
        return Change(scale=0.0)
    appended = None
    if made.ndim == 3 and now.shape[1] > made.shape[1]:
        now, appended = now[:, : made.shape[1]], now[:, made.shape[1] :]
    if now.shape != made.shape:
        return Change(scale=None)
    return Change(_ratio(made, now.to(made)), appended)


def _ratio(made: Tensor, now: Tensor) -> float | None:
    """The number by which `made` was multiplied to give `now`; None if there is none."""
    if torch.equal(made, now):
        return 1.0
    if not now.any():
        return 0.0
    place = made.abs().argmax()
    most = made.flatten()[place]
    ratio = float(now.flatten()[place] / most)
    near = ROUNDING * abs(float(most))
    if not math.isfinite(ratio) or not torch.allclose(now, made * ratio, rtol=ROUNDING, atol=near):
        return None
    return 1.0 if abs(ratio - 1) <= ROUNDING else ratio


def _adapted(controls: Controls, changes: Mapping[str, Change], rows: int) -> Iterator[Control]:
    for control in controls:
        change = changes[control.stream]
        if isinstance(control, Timeline):
            if change.scale is None:
                what = "T5 prompt" if control.stream == TXT else "CLIP prompt"
                raise ValueError(_MIXED.format(TITLES[type(control)], what))
            if change.scale:
                yield _with_appended(_scaled(control, change.scale), change.appended)
        elif isinstance(control, Bias) and control.columns.shape[1] > rows:
            raise ValueError(
                f"A T5 prompt has weights in the attention for {control.columns.shape[1]} tokens, but another node has "
                f"cut it to {rows} tokens. Shorten the text before it is encoded, or set `weights` of T5 Encode to "
                "'embedding'."
            )
        elif not isinstance(control, (PlacedText, Bias, VecDelta)) or change.scale != 0.0:
            yield _scaled(control, 1.0 if change.scale is None else change.scale)


_MIXED = (
    "This CONDITIONING has {}, and another node (such as Conditioning Average) has mixed or replaced its {} since. The "
    "timeline would use its own prompts and ignore the mixture. Mix the prompts first (Blend CLIP, Blend T5), then "
    "schedule the result."
)


def _with_appended(control: Control, rows: Tensor | None) -> Control:
    """A T5 timeline with the rows that native nodes have appended to its prompt, in their order."""
    if rows is None or not isinstance(control, T5Timeline):
        return control
    return replace(
        control, appended=rows if control.appended is None else torch.cat([control.appended.to(rows), rows], 1)
    )


def _scaled(control: Control, scale: float) -> Control:
    """A control whose prompt was multiplied by `scale`."""
    if scale == 1.0:
        return control
    if isinstance(control, PlacedText):
        return replace(control, rows=control.rows * scale)
    if isinstance(control, VecDelta):
        return replace(control, vecs=control.vecs * scale)
    if isinstance(control, T5Timeline) and control.appended is not None:
        control = replace(control, appended=control.appended * scale)
    if isinstance(control, Timeline):
        return replace(
            control,
            keyframes=tuple(replace(keyframe, span=_span(keyframe.span, scale)) for keyframe in control.keyframes),
        )
    return control


def _span(span, scale: float):
    controls = tuple(_scaled(each, scale) for each in span.controls)
    return replace(span, tensor=span.tensor * scale, controls=controls)
