"""A prompt at one moment of a run: timelines evaluated, inactive controls removed. Pure torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..blend.rows import same_batch
from ..controls import Control, Controls, PlacedText, T5Timeline, Timeline, VecDelta, controls_in
from ..timepoints import Moment
from .timeline import playing


@dataclass(frozen=True, eq=False)
class Resolved:
    """vec [B, 768], txt [B, L, 4096] and the controls at one moment; none of them depends on time any more.

    `replaced` is the slice of txt's rows that a timeline has replaced, and the new number of rows; None without a T5
    timeline.
    """

    vec: Tensor | None
    txt: Tensor
    controls: Controls
    replaced: tuple[slice, int] | None = None


def resolve(vec: Tensor | None, txt: Tensor, controls: Controls, moment: Moment) -> Resolved:
    """A prompt's vec [B, 768] or None, txt [B, L, 4096] and controls, evaluated at a moment of the run."""
    untimed: list[Control] = []
    replaced = None
    for control in controls:
        if not isinstance(control, Timeline):
            untimed.append(control)
            continue
        span = playing(control, moment)
        untimed += controls_in(span)
        if isinstance(control, T5Timeline):
            appended = _appended(control, txt)
            replaced = slice(0, txt.shape[1] - appended.shape[1]), span.tensor.shape[1]
            txt = torch.cat(same_batch(span.tensor.to(txt), appended), 1)
        else:
            vec = span.tensor.to(vec)
    return Resolved(vec, txt, tuple(_active(untimed, moment)), replaced)


def _appended(timeline: T5Timeline, txt: Tensor) -> Tensor:
    """The rows [B, R, C] that native nodes have appended and that stay at every moment."""
    return txt[:, :0] if timeline.appended is None else timeline.appended.to(txt)


def _active(controls: list[Control], moment: Moment) -> Iterator[Control]:
    """The controls that are active now. An inactive text is left out, with the texts inside it."""
    numbers = {0: 0}  # old number of each remaining text -> new number; 0 is the first text
    for number, text in enumerate((each for each in controls if isinstance(each, PlacedText)), 1):
        if text.inside in numbers and text.when.holds(moment):
            numbers[number] = len(numbers)
    number = 0
    for control in controls:
        if isinstance(control, PlacedText):
            number += 1
            if number in numbers:
                yield replace(control, inside=numbers[control.inside])
        elif not isinstance(control, VecDelta) or control.when.holds(moment):
            yield control
