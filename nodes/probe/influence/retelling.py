"""A prompt told otherwise at a moment of a run: one road's text replaced, in all blocks or in some. Pure torch.

It works on entries that ComfyUI has prepared for sampling and whose timelines sample/apply.py has played already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid5

import torch
from torch import Tensor

from ...condition.controls import MODEL_CONDS, TXT, VEC, Bias, Controls, Shift, Text, controls_of, of, ready
from ...condition.place.blocks import Blocks
from ...condition.place.placing import with_text
from ...streams import Span, Stream

Entry = Mapping[str, Any]

FIELDS = {VEC: "y", TXT: "c_crossattn"}  # ComfyUI's names for what Flux is given
TITLES = {VEC: "CLIP", TXT: "T5"}


@dataclass(frozen=True, eq=False)
class Null:
    """What stands for "no prompt" on each road: tensors with one row, or None for zeros."""

    name: str
    texts: Mapping[str, Tensor | None]

    def like(self, own: Tensor, road: str) -> Tensor:
        """This road's null, for a prompt of its own. Raises ValueError where the two are of different encoders."""
        text = self.texts[road]
        if text is None:
            return torch.zeros_like(own)
        if text.shape[-1] != own.shape[-1]:
            raise ValueError(
                f"Encoder Influence: the empty {TITLES[road]} prompt is {text.shape[-1]} wide and the sampled one "
                f"{own.shape[-1]}. Encode both with the same {TITLES[road]}."
            )
        return text.to(own)


def plain(stream: Stream, name: str) -> Tensor:
    """The tensor of a stream that is one text and nothing else. Raises ValueError for any other."""
    (span, *more) = stream.spans
    if more or of(span):
        raise ValueError(
            f"Encoder Influence: `{name}` is scheduled, weighted or has regions, expected the plain encoding of an "
            "empty text, from CLIP-L Encode or T5 Encode."
        )
    return span.tensor


def own(entry: Entry, road: str) -> Tensor:
    """What an entry says on a road. Raises ValueError where it says nothing."""
    cond = entry[MODEL_CONDS].get(FIELDS[road])
    if cond is None:
        raise ValueError(
            f"The CONDITIONING that reached this model has nothing for {TITLES[road]} in it, so there is nothing to "
            "measure. Make it with Dual Prompt, or with CLIPTextEncodeFlux and a CLIP that holds both encoders."
        )
    return cond.cond


def is_null(entry: Entry, road: str, null: Null) -> bool:
    """Whether a prompt says exactly what the null says, so that there is nothing to ask."""
    said = own(entry, road)
    text = null.like(said, road)
    if text.shape[1:] != said.shape[1:] or any(each.road == road for each in controls_of(entry)):
        return False
    return torch.equal(text.expand_as(said) if text.shape[0] == 1 else text, said)


def without(entry: Entry, road: str, null: Null) -> Entry:
    """An entry that says the null on a road; that road's regions, weights and negatives go with it."""
    return said(entry, road, null.like(own(entry, road), road))


def said(entry: Entry, road: str, text: Tensor) -> Entry:
    """An entry that says `text` on a road, and nothing beside."""
    return _with(entry, road, text, tuple(each for each in controls_of(entry) if each.road != road))


def within(entry: Entry, road: str, null: Null, blocks: Blocks) -> Entry:
    """An entry of which some blocks see the null on a road, and all others what it says."""
    controls, text = controls_of(entry), own(entry, road)
    other = null.like(text, road)
    here, beside = ([each for each in controls if (each.road == road) is same] for same in (True, False))
    if road == VEC:
        if any(isinstance(each, Shift) for each in here):
            raise ValueError(
                "Encoder Influence: this prompt's CLIP vector already differs from block to block (CLIP Negative, "
                "Block Routing). Leave `blocks` empty, or measure the prompt without them."
            )
        # The last layer takes vec as it is given to the model, so that is the vec which it shall see.
        base, moved, where = (other, text, blocks.others()) if blocks.final else (text, other, blocks)
        base, moved = (each.expand(max(len(text), len(other)), -1) for each in (base, moved))
        shift = Shift(moved[:, None], (1.0,), own=-1.0, blocks=where)
        return _with(entry, road, base, (*controls, shift))
    bias = next((each.columns for each in here if isinstance(each, Bias)), None)
    span = Span(text, bias=bias, controls=tuple(each for each in here if not isinstance(each, Bias)))
    over = with_text(span, Span(other), Text(blocks=blocks))
    return _with(entry, road, over.tensor, (*of(over), *beside))


def _with(entry: Entry, road: str, text: Tensor, controls: Controls) -> Entry:
    given = entry[MODEL_CONDS]
    return ready({**entry, MODEL_CONDS: {**given, FIELDS[road]: type(given[FIELDS[road]])(text)}}, controls)


def named(entry: Entry, name: str) -> Entry:
    """An entry with an id of its own, the same whenever it is asked for: caches (EasyCache) go by it."""
    return {**entry, "uuid": uuid5(entry["uuid"], name)}
