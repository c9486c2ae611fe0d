"""A prompt told otherwise at a moment of a run: one stream's text replaced, in all blocks or in some. Pure torch.

It works on entries that ComfyUI has prepared for sampling and whose timelines sample/apply.py has played already.
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

FIELDS = {VEC: Y, TXT: C_CROSSATTN}  # ComfyUI's names for what Flux is given
TITLES = {VEC: "CLIP", TXT: "T5"}


@dataclass(frozen=True, eq=False)
class Null:
    """What stands for "no prompt" in each stream: tensors with one row of a batch, or None for zeros.

    `sampled` are the T5 prompts that are sampled, each [1, L, C], where the user has told them: only their rows are
    replaced. Without, a text that begins with the rows of `empty`, T5's empty prompt, and goes on is that prompt and
    something else (Redux, Conditioning Concat); any other counts as the prompt, all of it.
    """

    name: str
    texts: Mapping[str, Tensor | None]
    sampled: Sequence[Tensor] = ()
    empty: Tensor | None = None

    def like(self, own: Tensor, stream: str) -> Tensor:
        """What a prompt says in this stream once the null stands in it; rows that are not the prompt's stay.

        Raises ValueError where the two are of different encoders.
        """
        if stream == VEC:
            return self._text(own, stream)
        at = self.rows(own)
        text, before, after = self._text(own[:, at], stream), own[:, : at.start], own[:, at.stop :]
        if not before.shape[1] and not after.shape[1]:
            return text
        return torch.cat([before, text.expand(len(own), -1, -1), after], 1)

    def lengths(self, own: Tensor) -> tuple[int, int] | None:
        """Rows of the T5 prompt and of the text that stands for none, where they differ: rows alone change a picture.

        None where they are as many, and for zeros, which take as many rows as there are.
        """
        rows, text = self.rows(own), self.texts[TXT]
        there = rows.stop - rows.start
        return None if text is None or text.shape[1] == there else (there, text.shape[1])

    def check(self, texts: Sequence[Tensor]) -> None:
        """Raises ValueError where the user has told of a T5 prompt that stands in none of these texts [B, L, C].

        A prompt that native nodes combine with another one need not stand in both.
        """
        if self.sampled and all(self._sampled_in(text) is None for text in texts):
            counts, came = (" or ".join(str(each.shape[1]) for each in several) for several in (self.sampled, texts))
            raise ValueError(
                f"Encoder Influence: `txt` is not the T5 prompt that is sampled: its {counts} rows do not stand among "
                f"the {came} rows that came. Connect the very T5 prompt that Dual Prompt got, or leave `txt` empty."
            )

    def _sampled_in(self, own: Tensor) -> slice | None:
        places = ((_place(prompt, own), prompt.shape[1]) for prompt in self.sampled)
        return next((slice(start, start + length) for start, length in places if start is not None), None)

    def rows(self, own: Tensor) -> slice:
        """Which rows of txt [B, L, C] are the T5 prompt's."""
        if (found := self._sampled_in(own)) is not None:
            return found
        empty = self.empty
        is_empty = empty is not None and empty.shape[1] < own.shape[1] and _place(empty, own) == 0
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


def _place(prompt: Tensor, txt: Tensor) -> int | None:
    """From which row on all of a prompt's rows [1, l, C] stand in a text [B, L, C], in their order; None: nowhere."""
    if prompt.shape[-1] != txt.shape[-1] or len(prompt) not in (1, len(txt)):
        return None
    # A batch's rows side by side: they stand at one place in all of its texts, or nowhere.
    wide = prompt.to(txt).expand(len(txt), -1, -1).movedim(0, 1).flatten(1)
    return located(txt.movedim(0, 1).flatten(1), wide)


def prompts_of(stream: Stream | None) -> list[Tensor]:
    """Every T5 prompt of a stream, those of its timelines too."""
    spans = () if stream is None else stream.spans
    timelines = (each for span in spans for each in span.controls if isinstance(each, Timeline))
    return [span.tensor for span in (*spans, *(keyframe.span for each in timelines for keyframe in each.keyframes))]


def plain(stream: Stream, name: str) -> Tensor:
    """The tensor of a stream that is one text and nothing else. Raises ValueError for any other."""
    (span, *more) = stream.spans
    if more or controls_in(span):
        raise ValueError(
            f"Encoder Influence: `{name}` is scheduled, weighted or has regions, expected the plain encoding of an "
            "empty text, from CLIP-L Encode or T5 Encode."
        )
    return span.tensor


def prompt_of(entry: Entry, stream: str) -> Tensor:
    """What an entry says in a stream. Raises ValueError where it says nothing."""
    cond = entry[MODEL_CONDS].get(FIELDS[stream])
    if cond is None:
        raise ValueError(
            f"The CONDITIONING that reached this model has nothing for {TITLES[stream]} in it, so there is nothing to "
            "measure. Make it with Dual Prompt, or with CLIPTextEncodeFlux and a CLIP that holds both encoders."
        )
    return cond.cond


def is_null(entry: Entry, stream: str, null: Null) -> bool:
    """Whether a prompt says exactly what the null says, so that there is nothing to ask."""
    said = prompt_of(entry, stream)
    text = null.like(said, stream)
    if text.shape[1:] != said.shape[1:] or any(each.stream == stream for each in controls_of(entry)):
        return False
    return torch.equal(text.expand_as(said) if text.shape[0] == 1 else text, said)


def unchanged(entry: Entry) -> Entry:
    """An entry that says what it says, to be asked again: what differs then is noise of the arithmetic."""
    return ready_entry(entry, controls_of(entry))


def without(entry: Entry, stream: str, null: Null) -> Entry:
    """An entry that says the null in a stream; that stream's regions, weights and negatives go with it."""
    given = prompt_of(entry, stream)
    text = null.like(given, stream)
    told = with_prompt(entry, stream, text)
    return told if stream == VEC else _masked(told, _mask_without(entry, null, text))


def _mask_without(entry: Entry, null: Null, text: Tensor) -> Tensor | None:
    """A T5 prompt's attention mask once it is `text`, the null and the rows that stay."""
    given, mask = prompt_of(entry, TXT), entry[MODEL_CONDS].get(MASK)
    if mask is None:
        return None
    rows = null.rows(given)
    return attn_masks.replaced(mask.cond, rows, text.shape[1] - given.shape[1] + rows.stop - rows.start)


def _masked(entry: Entry, values: Tensor | None) -> Entry:
    if values is None:
        return entry
    given = entry[MODEL_CONDS]
    return {**entry, MODEL_CONDS: {**given, MASK: type(given[MASK])(values)}}


def with_prompt(entry: Entry, stream: str, text: Tensor) -> Entry:
    """An entry that says `text` in a stream, and nothing beside."""
    return _with(entry, stream, text, tuple(each for each in controls_of(entry) if each.stream != stream))


def within(entry: Entry, stream: str, null: Null, blocks: Blocks) -> Entry:
    """An entry of which some blocks see the null in a stream, and all others what it says."""
    controls, text = controls_of(entry), prompt_of(entry, stream)
    other = null.like(text, stream)
    here, beside = ([each for each in controls if (each.stream == stream) is same] for same in (True, False))
    if stream == VEC:
        if any(isinstance(each, VecDelta) for each in here):
            raise ValueError(
                "Encoder Influence: this prompt's CLIP vector already differs from block to block (CLIP Negative, "
                "Block Routing). Leave `blocks` empty, or measure the prompt without them."
            )
        # The last layer takes vec as it is given to the model, so that is the vec which it shall see.
        base, moved, where = (other, text, blocks.others()) if blocks.final else (text, other, blocks)
        base, moved = (each.expand(max(len(text), len(other)), -1) for each in (base, moved))
        shift = VecDelta(moved[:, None], (1.0,), own=-1.0, blocks=where)
        return _with(entry, stream, base, (*controls, shift))
    bias = next((each.columns for each in here if isinstance(each, Bias)), None)
    span = Span(text, bias=bias, controls=tuple(each for each in here if not isinstance(each, Bias)))
    over = with_text(span, Span(other), PlacedText(blocks=blocks, attn_mask=_mask_without(entry, null, other)))
    return _with(entry, stream, over.tensor, (*controls_in(over), *beside))


def _with(entry: Entry, stream: str, text: Tensor, controls: Controls) -> Entry:
    given = entry[MODEL_CONDS]
    return ready_entry({**entry, MODEL_CONDS: {**given, FIELDS[stream]: type(given[FIELDS[stream]])(text)}}, controls)


def with_id(entry: Entry, name: str) -> Entry:
    """An entry with an id of its own, the same whenever it is asked for: caches (EasyCache) go by it."""
    return {**entry, UUID: uuid5(entry[UUID], name)}
