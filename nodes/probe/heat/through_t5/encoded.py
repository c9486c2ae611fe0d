"""Encodes a T5 prompt without each of its words, several in one run of T5. Imports ComfyUI."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ....compat.memory import check_interrupted
from ....compat.text_encoders import CLIP
from ....encode.embeddings.cached import remembered_values
from ....encode.encoding import t5_together
from ....encode.tokens.lengths import Tokens
from ....keys import T5XXL
from ....streams import T5Text
from ..choices import THROUGH
from ..left_out import tokens_of, without
from ..selection import Wanted
from ..tokens import word_rows
from .shares import aligned, changes, disjoint, shares

ROWS = 2048  # of T5's that are encoded at a time, to limit memory: 8 prompts of 256 rows


def through_t5(clip: CLIP | None, txt: T5Text, wanted: Wanted) -> Wanted:
    """`wanted`, in which each row belongs to a word as far as it is due to the word.

    Raises ValueError for a txt that cannot be encoded again (left_out.tokens_of).
    """
    tokens = tokens_of(clip, txt, THROUGH)
    chosen = [wanted.rows(word).tolist() for word in range(len(wanted.words))]
    known = disjoint(word_rows(txt.source))
    # What is chosen and is no word, such as a sign, is left out by itself.
    units = disjoint([*known, *(each for each in chosen if not any(set(each) & set(word) for word in known))])
    found = shares(remembered_values(clip, T5XXL, [THROUGH, tokens, units], lambda: _changes(clip, tokens, units)))
    member = wanted.member.float()
    for word, rows in enumerate(chosen):
        member[:, word] = found[:, [at for at, unit in enumerate(units) if set(unit) & set(rows)]].sum(1)
    return replace(wanted, member=member)


def _changes(clip: CLIP, tokens: Tokens, units: list[list[int]]) -> Tensor:
    """[L, units]: how much each row changes when the tokens of a unit are left out."""
    at_once, found = max(1, ROWS // len(tokens) - 1), []
    for start in range(0, len(units), at_once):
        check_interrupted()
        several = units[start : start + at_once]
        # The prompt itself is encoded beside them each time: in a batch of another size, rounding differs.
        rows, *others = t5_together(clip, [tokens, *(without(tokens, unit) for unit in several)])
        found += [changes(rows, aligned(other, unit)).cpu() for other, unit in zip(others, several, strict=True)]
    return torch.stack(found, 1)
