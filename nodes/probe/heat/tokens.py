"""Which rows of `txt` are a word's: a prompt's tokens, held against the words that are asked for. Imports ComfyUI."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import comfy.text_encoders.flux
import torch
from torch import Tensor

from ...encode.text.inspection import read_by_t5
from ...encode.text.lengths import COMFYUI, T5_PAD
from ...streams import T5Text
from .reading import ALL, ELSEWHERE, END, GROUPS, OTHER, PADS

MOST_WORDS = 64
END_ID = 1


@dataclass(frozen=True, eq=False)
class Wanted:
    """The words and, for each row of `txt`, whether it is a word's, and of which of GROUPS [rows, words + GROUPS].

    A row may be of several words: of "red", and of "red circle".
    """

    words: tuple[str, ...]
    member: Tensor

    def rows(self, word: int) -> Tensor:
        return self.member[:, word].nonzero()[:, 0]

    def of(self, rows: int) -> Tensor:
        """The same for all of a forward's rows, as numbers: those beyond the prompt's belong to other texts."""
        member = torch.zeros(rows, self.member.shape[1])
        known = self.member[:rows]
        member[: len(known)] = known.float()
        member[:, len(self.words) + GROUPS.index(ALL)] = 1
        member[len(known) :, len(self.words) + GROUPS.index(ELSEWHERE)] = 1
        return member


@cache
def _tokenizer():
    return comfy.text_encoders.flux.T5XXLTokenizer()


def wanted(txt: T5Text, asked: str) -> Wanted:
    """`asked` holds words or phrases, by commas or lines; none for all of the prompt's words.

    Raises ValueError for a stream whose text is not known, and for a word that it does not have.
    """
    if txt.source is None:
        raise ValueError(
            "Token Heatmap: this T5 prompt does not say what its text was, so its rows cannot be told apart. Connect "
            "the output of T5 Encode, Load Embedding or Blend T5."
        )
    ids = [token for chunk in txt.source.tokens for token, _ in chunk]
    pieces = read_by_t5(_tokenizer(), txt.source.text, COMFYUI, txt.source.settings.get("weights") != "off").pieces
    if [piece.id for piece in pieces] != [each if each != "embedding" else None for each in ids[: len(pieces)]]:
        raise ValueError("Token Heatmap: the T5 prompt's tokens are not those of its text; encode it anew with T5 "
        "Encode.")
    text = txt.source.text
    spans = _asked(text, asked) if asked.strip() else _all(text, [(p.start, p.end) for p in pieces])
    member = torch.zeros(len(ids), len(spans) + len(GROUPS), dtype=torch.bool)
    for number, places in enumerate(spans.values()):
        for row, piece in enumerate(pieces[: len(ids)]):
            member[row, number] = any(piece.start < end and start < piece.end for start, end in places)
    for row, token in enumerate(ids):
        kind = PADS if token == T5_PAD else END if token == END_ID else OTHER
        member[row, len(spans) + GROUPS.index(kind)] = not member[row].any()
    return Wanted(tuple(spans), member)


def _asked(text: str, asked: str) -> dict[str, list[tuple[int, int]]]:
    spans = {}
    for word in filter(None, (each.strip() for each in re.split(r"[,\n]", asked))):
        found = re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)
        spans[word] = [match.span() for match in found]
        if not spans[word]:
            raise ValueError(f"Token Heatmap: the T5 prompt has no word {word!r}. It says: {text}")
    return _few(spans)


def _all(text: str, pieces: list[tuple[int, int]]) -> dict[str, list[tuple[int, int]]]:
    """Every word of the text that became a token, each once."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for match in re.finditer(r"[\w'-]+", text):
        if any(start < match.end() and match.start() < end for start, end in pieces):
            spans.setdefault(match[0].lower(), []).append(match.span())
    return _few(spans)


def _few(spans: dict) -> dict:
    if not 1 <= len(spans) <= MOST_WORDS:
        raise ValueError(
            f"Token Heatmap: got {len(spans)} words, expected 1 to {MOST_WORDS}: each is a map for every block and "
            f"step. "
            "Name the words that you want to see in `words`."
        )
    return spans
