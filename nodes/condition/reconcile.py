"""What becomes of a prompt's controls where native nodes have changed the prompt since. Pure torch.

Between the node that set a control and the sampler there may be any node that takes a CONDITIONING. It changes `txt`
and `vec` and knows of no control, so the control is held against what the entry holds by then:

    unchanged                                     the control acts as it was set
    rows behind it (Conditioning Concat, Redux)   they belong to the first text; a timeline leaves them where they are
    all of it times a number (Multiply)           the control's own texts and vectors are multiplied as well
    all of it zero (ZeroOut)                      there is no prompt left, and so no control of it
    mixed with another prompt (Average)           what lies over the prompt, or weighs it, acts on the mixture; a
                                                  timeline would put its own prompts in its place, so it is refused
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .controls import (
    TITLES,
    TXT,
    VEC,
    Bias,
    Control,
    Controls,
    PlacedText,
    T5Timeline,
    Timeline,
    VecDelta,
    take_controls,
)

ROUNDING = 1e-5  # of a prompt's largest number: what multiplying it in half precision might leave


@dataclass(frozen=True, eq=False)
class Change:
    """What a prompt's rows, or its vector, were multiplied by (None: it is another one), and the rows behind them."""

    scale: float | None = 1.0
    more: Tensor | None = None


def followed(txt: Tensor, vec: Tensor | None, extras: Mapping[str, Any]) -> tuple[dict[str, Any], Controls]:
    """An entry's extras without controls, and its controls as they fit the txt and the vec that it holds.

    Raises ValueError where a control cannot follow.
    """
    rest, cond = take_controls(extras)
    if cond is None or cond.made is None:
        return rest, cond.controls if cond else ()
    changes = {TXT: changed(cond.made.txt, txt), VEC: changed(cond.made.vec, vec)}
    return rest, tuple(_following(cond.controls, changes, txt.shape[1]))


def changed(made: Tensor | None, now: Tensor | None) -> Change:
    """How `now` came from `made`: txt [B, L, C] or vec [B, C]."""
    if made is now or made is None:
        return Change()
    if now is None:
        return Change(scale=0.0)
    more = None
    if made.ndim == 3 and now.shape[1] > made.shape[1]:
        now, more = now[:, : made.shape[1]], now[:, made.shape[1] :]
    if now.shape != made.shape:
        return Change(scale=None)
    return Change(_ratio(made, now.to(made)), more)


def _ratio(made: Tensor, now: Tensor) -> float | None:
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


def _following(controls: Controls, changes: Mapping[str, Change], rows: int) -> Iterator[Control]:
    for control in controls:
        change = changes[control.stream]
        if isinstance(control, Timeline):
            if change.scale is None:
                what = "T5's rows" if control.stream == TXT else "CLIP's vector"
                raise ValueError(_MIXED.format(TITLES[type(control)], what))
            if change.scale:
                yield _behind(_scaled(control, change.scale), change.more)
        elif isinstance(control, Bias) and control.columns.shape[1] > rows:
            raise ValueError(
                f"A T5 prompt has weights in the attention for {control.columns.shape[1]} rows, and another node has "
                f"left {rows} of them. Weight the prompt after it was cut, or use weights 'embedding' in T5 Encode."
            )
        elif not isinstance(control, (PlacedText, Bias, VecDelta)) or change.scale != 0.0:
            yield _scaled(control, 1.0 if change.scale is None else change.scale)


_MIXED = (
    "This CONDITIONING has {}, and another node (Conditioning Average does) has since mixed or replaced {}. The "
    "timeline would play its own prompts in place of the mixture. Mix the prompts first (Blend CLIP, Blend T5), then "
    "schedule what comes out."
)


def _behind(control: Control, more: Tensor | None) -> Control:
    """A T5 timeline with what native nodes have put behind its prompts, in their order."""
    if more is None or not isinstance(control, T5Timeline):
        return control
    return replace(control, more=more if control.more is None else torch.cat([control.more.to(more), more], 1))


def _scaled(control: Control, scale: float) -> Control:
    """A control of a prompt that was multiplied by a number."""
    if scale == 1.0:
        return control
    if isinstance(control, PlacedText):
        return replace(control, rows=control.rows * scale)
    if isinstance(control, VecDelta):
        return replace(control, vecs=control.vecs * scale)
    if isinstance(control, T5Timeline) and control.more is not None:
        control = replace(control, more=control.more * scale)
    if isinstance(control, Timeline):
        return replace(
            control,
            keyframes=tuple(replace(keyframe, span=_span(keyframe.span, scale)) for keyframe in control.keyframes),
        )
    return control


def _span(span, scale: float):
    controls = tuple(_scaled(each, scale) for each in span.controls)
    return replace(span, tensor=span.tensor * scale, controls=controls)
