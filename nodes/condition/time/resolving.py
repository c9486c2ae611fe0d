"""What a prompt is at one moment of a run: its timelines played, and what is not on now taken out. Pure torch."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..controls import TXT, Bias, Control, Controls, Shift, Text, Timeline, of
from ..place.texts import owners
from .clock import Moment
from .timeline import playing


def resolve(vec: Tensor | None, txt: Tensor, controls: Controls, moment: Moment) -> tuple[Tensor, Tensor, Controls]:
    """vec [B, 768], txt [B, L, 4096] and controls, as they are at the moment; nothing of it changes any more."""
    lasting = []
    for control in controls:
        if not isinstance(control, Timeline):
            lasting.append(control)
            continue
        span = playing(control, moment)
        lasting += of(span)
        if control.road == TXT:
            txt = span.tensor.to(txt)
        else:
            vec = span.tensor.to(vec)
    txt, lasting = _without_idle_texts(txt, lasting, moment)
    return vec, txt, tuple(each for each in lasting if not isinstance(each, Shift) or each.when.holds(moment))


def _without_idle_texts(txt: Tensor, controls: list[Control], moment: Moment) -> tuple[Tensor, list[Control]]:
    """The rows of a text that is not on now are left out of `txt`: the model need not carry them."""
    texts = [each for each in controls if isinstance(each, Text)]
    on = [True]  # the text that all others lie over
    for text in texts:
        on.append(text.when.holds(moment) and on[text.inside])
    if all(on):
        return txt, controls
    stays = torch.tensor(on)[owners(texts, txt.shape[1])]
    kept, place = stays.nonzero()[:, 0], stays.cumsum(0) - 1  # of each row among those that stay
    number = torch.tensor(on).cumsum(0) - 1  # and of each text
    left, states = [], iter(on[1:])
    for control in controls:
        if isinstance(control, Bias):
            columns = torch.nn.functional.pad(control.columns, (0, len(stays) - control.columns.shape[1]))
            left.append(Bias(columns[:, kept]))
        elif not isinstance(control, Text):
            left.append(control)
        elif next(states):
            left.append(replace(control, start=int(place[control.start]), inside=int(number[control.inside])))
    return txt[:, kept.to(txt.device)], left
