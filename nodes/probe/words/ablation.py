"""Words of a prompt, and the prompt without one of them: as text, and as rows. Pure torch.

A word is a run of letters and digits; the tokens that stand in it are its own, however many there are. Signs between
words stay, so that leaving a word out leaves the rest of the sentence as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ...encode.tokens.spans import Pieces
from ..phrases import folded

_LETTERS = r"(?:\w[\u0300-\u036f]*)+"  # with accents that are signs of their own (NFD)
WORD = re.compile(f"{_LETTERS}(?:['\u2019-]{_LETTERS})*")


@dataclass(frozen=True)
class Word:
    """A word of a text, from `start` to `end`, and which of the text's tokens are its own."""

    text: str
    start: int
    end: int
    tokens: tuple[int, ...]


def words(text: str, pieces: Pieces, read: int, chosen: str = "") -> list[Word]:
    """The words of a text of which the first `read` tokens are read; with `chosen`, a list of words, those alone.

    A word that comes twice is two words. Raises ValueError where a chosen word is not in the text, or no word is left.
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
            f"Word Ablation: neither prompt has the word {missing[0]!r} among those that are read. Expected words as "
            "they stand in a prompt, such as: red, circle; or nothing for all of them."
        )


def without(text: str, word: Word) -> str:
    """The text without a word, and without the white space before it; at the beginning, without that behind it."""
    before, after = text[: word.start], text[word.end :]
    return before.rstrip() + after if before.strip() else before + after.lstrip()


def deleted(txt: Tensor, word: Word) -> Tensor:
    """txt [B, L, C] without the word's rows; T5's rows are a set for FLUX.1, so nothing else changes."""
    keep = [row for row in range(txt.shape[1]) if row not in set(word.tokens)]
    return txt[:, keep]


def control(txt: Tensor) -> Tensor:
    """txt [B, L, C] without its last row, a pad's unless the prompt fills all rows: what deleting any row changes."""
    return txt[:, :-1]


def trimmed(txt: Tensor, rows: int, pads: int) -> Tensor:
    """A text that was encoded without a word, as many rows as if that word's were deleted, as far as pads allow.

    Otherwise a pad would stand in the word's place, and what it changes would count as the word's.
    """
    more = min(max(txt.shape[1] - rows, 0), pads)
    return txt[:, : txt.shape[1] - more]
