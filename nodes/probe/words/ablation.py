"""Splits a prompt into words, and removes a word from its text or from its rows. Pure torch.

A word is a run of letters and digits, together with all tokens that overlap it. Punctuation between words stays when a
word is removed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ...encode.tokens.spans import Pieces
from ..phrases import folded

_LETTERS = r"(?:\w[\u0300-\u036f]*)+"  # with combining accents (NFD)
WORD = re.compile(f"{_LETTERS}(?:['\u2019-]{_LETTERS})*")


@dataclass(frozen=True)
class Word:
    """A word of a text, from character `start` to `end`, and the indices of its tokens."""

    text: str
    start: int
    end: int
    tokens: tuple[int, ...]


def words(text: str, pieces: Pieces, read: int, chosen: str = "") -> list[Word]:
    """The words of a text that are among its first `read` tokens; only those in `chosen` unless it is "".

    A word that occurs twice is two words.
    """
    wanted = [folded(each) for each in re.split(r"[,\s]+", chosen) if each]
    found = []
    for match in WORD.finditer(text):
        tokens = tuple(
            at for at, (start, end) in enumerate(zip(pieces.starts[:read], pieces.ends[:read], strict=True))
            if start < match.end() and end > match.start() and text[start:end].strip()
        )  # fmt: skip
        if tokens and (not wanted or folded(match[0]) in wanted):
            found.append(Word(match[0], match.start(), match.end(), tokens))
    return found


def check_chosen(chosen: str, *found: Sequence[Word]) -> None:
    """Raises ValueError for a chosen word that neither prompt has."""
    known = {folded(word.text) for each in found for word in each}
    missing = [each for each in re.split(r"[,\s]+", chosen) if each and folded(each) not in known]
    if missing:
        raise ValueError(
            f"Word Ablation: neither prompt has the word {missing[0]!r} among the words that are read. Expected words "
            "as written in a prompt, such as: red, circle; or nothing for all of them."
        )


def without(text: str, word: Word) -> str:
    """The text without a word and the white space before it; without that after it if the word is the first."""
    before, after = text[: word.start], text[word.end :]
    return before.rstrip() + after if before.strip() else before + after.lstrip()


def deleted(txt: Tensor, word: Word) -> Tensor:
    """txt [B, L, C] without the word's rows. FLUX.1 reads T5's rows as a set, so nothing else changes."""
    keep = [row for row in range(txt.shape[1]) if row not in set(word.tokens)]
    return txt[:, keep]


def control(txt: Tensor) -> Tensor:
    """txt [B, L, C] without its last row, a pad unless the prompt fills all rows: the effect of deleting any row."""
    return txt[:, :-1]


def trimmed(txt: Tensor, rows: int, pads: int) -> Tensor:
    """Removes pads from the end of a txt that was encoded without a word, down to `rows` rows if it has enough pads.

    Otherwise extra pads would replace the word's rows, and their effect would count as the word's.
    """
    more = min(max(txt.shape[1] - rows, 0), pads)
    return txt[:, : txt.shape[1] - more]
