"""Leaves a word out of an entry that is about to be evaluated. Pure torch.

The word's rows are taken out of the T5 prompt, wherever that stands in the entry's txt or in a text placed beside it (a
region), and its other rows become those of the prompt encoded without the word. FLUX.1 reads rows as a set, so that
is the prompt without the word; weights, regions and attention masks stay with the rows that they were made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ....condition import attn_masks
from ....condition.controls import TXT, Bias, Control, Nag, PlacedText, controls_of
from ....keys import MASK, MODEL_CONDS
from ...entries import Entry
from ...replace_prompt import place_of, prompt_of, with_controls, with_id, with_mask


@dataclass(frozen=True, eq=False)
class LeftOut:
    """A word and a T5 prompt without it.

    `text` [1, L, C] is the prompt, of which the first `real` rows are tokens and the rest pads. `gone` are the word's
    rows. `again` [1, L - gone, C] is the prompt encoded without the word, with as many pads as before.
    """

    word: str
    text: Tensor
    real: int
    gone: tuple[int, ...]
    again: Tensor

    def of(self, entry: Entry) -> Entry | None:
        """The entry without the word; None if it does not contain the prompt."""
        own, controls = prompt_of(entry, TXT), controls_of(entry)
        base = self.within(own)
        placed = [(each, self._placed(each)) for each in controls]
        if base is None and all(after is each for each, after in placed):
            return None
        others = tuple(after for _, after in placed)
        if base is None:
            return with_id(with_controls(entry, TXT, own, others), f"without {self.word}")
        rows, kept = base
        others = tuple(replace(each, columns=each.columns[:, kept]) if isinstance(each, Bias) else each
                       for each in others)  # fmt: skip
        changed = with_controls(entry, TXT, rows, others)
        if (mask := entry[MODEL_CONDS].get(MASK)) is not None:
            changed = with_mask(changed, _cut(mask.cond, kept, own.shape[1]))
        return with_id(changed, f"without {self.word}")

    def within(self, txt: Tensor) -> tuple[Tensor, Tensor] | None:
        """(txt [B, M, C] without the word, the indices [M] of the rows of txt [B, L, C] that are left); None if it does
        not contain the prompt."""
        pieces = self._pieces(txt)
        if not pieces:
            return None
        out, gone = txt.clone(), set()
        for start, rows in pieces:
            kept = [row for row in rows if row not in self.gone]
            before = [row - sum(each < row for each in self.gone) for row in kept]  # their rows in `again`
            at = [start + row - rows.start for row in kept]
            out[:, at] = self.again[:, before].to(txt)
            gone.update(start + row - rows.start for row in rows if row in self.gone)
        left = torch.tensor([row for row in range(txt.shape[1]) if row not in gone], dtype=torch.long)
        return out[:, left.to(txt.device)], left

    def _pieces(self, txt: Tensor) -> list[tuple[int, range]]:
        """(first row in txt, rows of the prompt) of the prompt, or else of its tokens and of its pads by themselves, as
        mixes of prompts have them."""
        whole = range(self.text.shape[1])
        if found := list(self._found(txt, whole)):
            return found
        tokens = list(self._found(txt, whole[: self.real]))
        return [*tokens, *self._found(txt, whole[self.real :])] if tokens else []

    def _found(self, txt: Tensor, rows: range) -> Iterator[tuple[int, range]]:
        if rows and (start := place_of(self.text[:, rows.start : rows.stop], txt)) is not None:
            yield start, rows

    def _placed(self, control: Control) -> Control:
        """A control without the word, if it is a text that contains the prompt; a negative is not attended to."""
        if not isinstance(control, PlacedText) or isinstance(control, Nag):
            return control
        found = self.within(control.rows)
        if found is None:
            return control
        rows, kept = found
        bias = None if control.bias is None else control.bias[:, kept]
        mask = None if control.attn_mask is None else _cut(control.attn_mask, kept, control.length)
        return replace(control, rows=rows, bias=bias, attn_mask=mask)


def _cut(mask: Tensor, kept: Tensor, rows: int) -> Tensor:
    """An attention mask [B, rows + image, rows + image] of which only the rows `kept` are left."""
    return attn_masks.reindexed(mask, torch.cat([kept, torch.arange(rows, mask.shape[-1])]))
