"""Replaces the CLIP or T5 prompt in entries during a run, in all blocks or in some. Pure torch.

The entries are those that ComfyUI has prepared for sampling, with timelines already resolved by sample/apply.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid5

import torch
from torch import Tensor

from ..condition import attn_masks
from ..condition.blocks import Blocks
from ..condition.controls import (
    TXT,
    VEC,
    Bias,
    Controls,
    PlacedText,
    Timeline,
    VecDelta,
    controls_in,
    controls_of,
    ready_entry,
)
from ..condition.place.placing import with_text
from ..keys import C_CROSSATTN, MASK, MODEL_CONDS, UUID, Y
from ..streams import Span, Stream
from .entries import located

Entry = Mapping[str, Any]

FIELDS = {VEC: Y, TXT: C_CROSSATTN}  # ComfyUI's names of FLUX.1's inputs
TITLES = {VEC: "CLIP", TXT: "T5"}


@dataclass(frozen=True, eq=False)
class Null:
    """What stands for "no prompt" in each stream: the empty prompt's encoding [1, ...], or None for zeros.

    `sampled` are the T5 prompts that are sampled, each [1, L, C], if the user has connected them: only their rows are
    replaced. If there are none, a txt that begins with the rows of `empty`, the empty T5 prompt, and has more rows is
    taken as the empty prompt plus other rows (Redux, Conditioning Concat); any other txt counts as the prompt entirely.
    """

    name: str
    texts: Mapping[str, Tensor | None]
    sampled: Sequence[Tensor] = ()
    empty: Tensor | None = None

    def like(self, own: Tensor, stream: str) -> Tensor:
        """The stream's tensor `own` with the prompt replaced by the null; rows that are not the prompt's stay.

        Raises ValueError if the widths differ, as those of different encoders do.
        """
        if stream == VEC:
            return self._text(own, stream)
        at = self.rows(own)
        text, before, after = self._text(own[:, at], stream), own[:, : at.start], own[:, at.stop :]
        if not before.shape[1] and not after.shape[1]:
            return text
        return torch.cat([before, text.expand(len(own), -1, -1), after], 1)

    def lengths(self, own: Tensor) -> tuple[int, int] | None:
        """(rows of the T5 prompt, rows of the null) if they differ, since the number of rows alone changes a picture.

        None if they are equal, and for zeros, which replace each row.
        """
        rows, text = self.rows(own), self.texts[TXT]
        there = rows.stop - rows.start
        return None if text is None or text.shape[1] == there else (there, text.shape[1])

    def check(self, texts: Sequence[Tensor]) -> None:
        """Raises ValueError if `sampled` is set and none of its prompts is found in any of these texts [B, L, C].

        One match is enough: a prompt that native nodes combine with another one need not be in both.
        """
        if self.sampled and all(self._sampled_in(text) is None for text in texts):
            counts, came = (" or ".join(str(each.shape[1]) for each in several) for several in (self.sampled, texts))
            raise ValueError(
                f"Encoder Influence: `txt` is not the T5 prompt that is sampled: its {counts} tokens are not among the "
                f"{came} tokens that the model got. Connect the same T5 prompt as to Dual Prompt, or leave `txt` empty."
            )

    def _sampled_in(self, own: Tensor) -> slice | None:
        places = ((place_of(prompt, own), prompt.shape[1]) for prompt in self.sampled)
        return next((slice(start, start + length) for start, length in places if start is not None), None)

    def rows(self, own: Tensor) -> slice:
        """The rows of txt [B, L, C] that are the T5 prompt's."""
        if (found := self._sampled_in(own)) is not None:
            return found
        empty = self.empty
        is_empty = empty is not None and empty.shape[1] < own.shape[1] and place_of(empty, own) == 0
        return slice(0, empty.shape[1] if is_empty else own.shape[1])

    def _text(self, own: Tensor, stream: str) -> Tensor:
        text = self.texts[stream]
        if text is None:
            return torch.zeros_like(own)
        if text.shape[-1] != own.shape[-1]:
            raise ValueError(
                f"Encoder Influence: the empty {TITLES[stream]} prompt is {text.shape[-1]} wide and the sampled one "
                f"{own.shape[-1]}. Encode both with the same {TITLES[stream]}."
            )
        return text.to(own)


def place_of(prompt: Tensor, txt: Tensor) -> int | None:
    """The first row of a prompt [1, l, C] in a txt [B, L, C] that contains all its rows in order; None if not found."""
    if prompt.shape[-1] != txt.shape[-1] or len(prompt) not in (1, len(txt)):
        return None
    # The batch's rows side by side, so that a match is at the same row in all of its texts.
    wide = prompt.to(txt).expand(len(txt), -1, -1).movedim(0, 1).flatten(1)
    return located(txt.movedim(0, 1).flatten(1), wide)


def prompts_of(stream: Stream | None) -> list[Tensor]:
    """The tensors of all T5 prompts of a stream, including those of its timelines."""
    spans = () if stream is None else stream.spans
    timelines = (each for span in spans for each in span.controls if isinstance(each, Timeline))
    return [span.tensor for span in (*spans, *(keyframe.span for each in timelines for keyframe in each.keyframes))]


def plain(stream: Stream, name: str) -> Tensor:
    """The tensor of a stream with one span and no controls. Raises ValueError for any other."""
    (span, *more) = stream.spans
    if more or controls_in(span):
        raise ValueError(
            f"Encoder Influence: `{name}` is scheduled, weighted or has regions, expected the plain encoding of an "
            "empty text, from CLIP-L Encode or T5 Encode."
        )
    return span.tensor


def prompt_of(entry: Entry, stream: str) -> Tensor:
    """An entry's tensor in a stream: vec [B, 768] or txt [B, L, 4096]. Raises ValueError if it has none."""
    cond = entry[MODEL_CONDS].get(FIELDS[stream])
    if cond is None:
        raise ValueError(
            f"The CONDITIONING that reached this model has no {TITLES[stream]} prompt, so there is nothing to measure. "
            "Make it with Dual Prompt, or with CLIPTextEncodeFlux and a CLIP that holds both encoders."
        )
    return cond.cond


def is_null(entry: Entry, stream: str, null: Null) -> bool:
    """Whether a prompt equals the null, so that replacing it changes nothing and need not be evaluated."""
    own = prompt_of(entry, stream)
    text = null.like(own, stream)
    if text.shape[1:] != own.shape[1:] or any(each.stream == stream for each in controls_of(entry)):
        return False
    return torch.equal(text.expand_as(own) if text.shape[0] == 1 else text, own)


def unchanged(entry: Entry) -> Entry:
    """The same entry, to be evaluated again: any difference is rounding noise."""
    return ready_entry(entry, controls_of(entry))


def without(entry: Entry, stream: str, null: Null) -> Entry:
    """An entry with the null in place of a stream's prompt, and without that stream's regions, weights, negatives."""
    given = prompt_of(entry, stream)
    text = null.like(given, stream)
    replaced = with_prompt(entry, stream, text)
    return replaced if stream == VEC else with_mask(replaced, _mask_without(entry, null, text))


def _mask_without(entry: Entry, null: Null, text: Tensor) -> Tensor | None:
    """The attention mask for `text`, in which the null has replaced the T5 prompt's rows; None if there is none."""
    given, mask = prompt_of(entry, TXT), entry[MODEL_CONDS].get(MASK)
    if mask is None:
        return None
    rows = null.rows(given)
    return attn_masks.replaced(mask.cond, rows, text.shape[1] - given.shape[1] + rows.stop - rows.start)


def with_mask(entry: Entry, values: Tensor | None) -> Entry:
    if values is None:
        return entry
    given = entry[MODEL_CONDS]
    return {**entry, MODEL_CONDS: {**given, MASK: type(given[MASK])(values)}}


def with_prompt(entry: Entry, stream: str, text: Tensor) -> Entry:
    """An entry with `text` as a stream's prompt, and without that stream's controls."""
    return with_controls(entry, stream, text, tuple(each for each in controls_of(entry) if each.stream != stream))


def within(entry: Entry, stream: str, null: Null, blocks: Blocks) -> Entry:
    """An entry of which `blocks` see the null in place of a stream's prompt, and all other blocks the prompt."""
    controls, text = controls_of(entry), prompt_of(entry, stream)
    other = null.like(text, stream)
    own, others = ([each for each in controls if (each.stream == stream) is same] for same in (True, False))
    if stream == VEC:
        if any(isinstance(each, VecDelta) for each in own):
            raise ValueError(
                "Encoder Influence: this prompt's CLIP vector already differs between blocks (CLIP Negative, Block "
                "Routing). Leave `blocks` empty, or measure the prompt without these nodes."
            )
        # The last layer reads vec as passed to the model, so the base is the vec that the last layer is to see.
        base, moved, where = (other, text, blocks.others()) if blocks.final else (text, other, blocks)
        base, moved = (each.expand(max(len(text), len(other)), -1) for each in (base, moved))
        shift = VecDelta(moved[:, None], (1.0,), own=-1.0, blocks=where)
        return with_controls(entry, stream, base, (*controls, shift))
    bias = next((each.columns for each in own if isinstance(each, Bias)), None)
    span = Span(text, bias=bias, controls=tuple(each for each in own if not isinstance(each, Bias)))
    over = with_text(span, Span(other), PlacedText(blocks=blocks, attn_mask=_mask_without(entry, null, other)))
    return with_controls(entry, stream, over.tensor, (*controls_in(over), *others))


def with_controls(entry: Entry, stream: str, text: Tensor, controls: Controls) -> Entry:
    """An entry with `text` as a stream's prompt, and these controls."""
    given = entry[MODEL_CONDS]
    return ready_entry({**entry, MODEL_CONDS: {**given, FIELDS[stream]: type(given[FIELDS[stream]])(text)}}, controls)


def with_id(entry: Entry, name: str) -> Entry:
    """An entry with an id of its own that is the same at every step: caches (EasyCache) identify entries by it."""
    return {**entry, UUID: uuid5(entry[UUID], name)}
