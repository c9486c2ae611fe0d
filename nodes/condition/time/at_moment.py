"""What a prompt is at one moment of a run: its timelines played, and what is not on now taken out. Pure torch."""

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
    """vec [B, 768], txt [B, L, 4096] and controls, as they are at the moment; nothing of it changes any more.

    `played` is where the T5 prompt stood in whose place a timeline has put another one, and how many rows that one
    has; None without a timeline.
    """

    vec: Tensor | None
    txt: Tensor
    controls: Controls
    played: tuple[slice, int] | None = None


def resolve(vec: Tensor | None, txt: Tensor, controls: Controls, moment: Moment) -> Resolved:
    """A prompt at a moment of a run."""
    lasting: list[Control] = []
    played = None
    for control in controls:
        if not isinstance(control, Timeline):
            lasting.append(control)
            continue
        span = playing(control, moment)
        lasting += controls_in(span)
        if isinstance(control, T5Timeline):
            more = _more(control, txt)
            played = slice(0, txt.shape[1] - more.shape[1]), span.tensor.shape[1]
            txt = torch.cat(same_batch(span.tensor.to(txt), more), 1)
        else:
            vec = span.tensor.to(vec)
    return Resolved(vec, txt, tuple(_on(lasting, moment)), played)


def _more(timeline: T5Timeline, txt: Tensor) -> Tensor:
    """The rows that stay behind whatever a timeline plays [B, R, C]."""
    return txt[:, :0] if timeline.more is None else timeline.more.to(txt)


def _on(controls: list[Control], moment: Moment) -> Iterator[Control]:
    """Those that act now. A text that does not is left out, with those inside of it: the model need not carry it."""
    numbers = {0: 0}  # of the texts that stay, those that they have now; 0 is the first of txt
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
