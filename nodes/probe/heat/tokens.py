"""Which rows of `txt` are a word's: a prompt's tokens, held against the words that are asked for. Imports ComfyUI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ...compat.text_encoders import t5_tokenizer
from ...encode.tokens.inspection import read_by_t5
from ...encode.tokens.lengths import COMFYUI, T5_PAD
from ...streams import Source, T5Text
from ..phrases import find, folded, words
from .reading import END, GROUPS, OTHER, PADS
from .selection import Wanted

MOST_WORDS = 64
END_ID = 1


@cache
def _tokenizer():
    return t5_tokenizer()


def wanted(txt: T5Text, asked: str) -> Wanted:
    """`asked` holds words or phrases, by commas or lines; none for all of the prompt's words.

    Raises ValueError for a stream whose text is not known, and for a word that it does not have.
    """
    if txt.source is None:
        raise ValueError(
            "Token Heatmap: this T5 prompt does not say what its text was, so its rows cannot be told apart. Connect "
            "the output of T5 Encode, Load Embedding or Blend T5."
        )
    texts = [_Text.of(source, start) for start, source in _parts(txt.source)]
    ids = _ids(txt.source)
    found = _asked(txt.source.text, texts, asked) if asked.strip() else _all(texts)
    member = torch.zeros(len(ids), len(found) + len(GROUPS), dtype=torch.bool)
    for number, rows in enumerate(found.values()):
        member[sorted(rows), number] = True
    for row, token in enumerate(ids):
        kind = PADS if token == T5_PAD else END if token == END_ID else OTHER
        member[row, len(found) + GROUPS.index(kind)] = not member[row].any()
    real = max((row + 1 for row, token in enumerate(ids) if token != T5_PAD), default=0)
    # Rows behind the text's own are those of other texts (regions, negatives).
    others = tuple(text for span in txt.spans for text in _different(span.tensor[:, : len(ids)]))
    return Wanted(tuple(found), member, real if 0 < real < len(ids) else None, others)


def _different(text: Tensor) -> Iterator[Tensor]:
    """[n, C] of each prompt of a batch, each once."""
    for number, one in enumerate(text):
        if not any(torch.equal(one, other) for other in text[:number]):
            yield one


def _ids(source: Source) -> list[int | str]:
    return [token for chunk in source.tokens for token, _ in chunk]


def _parts(source: Source, start: int = 0) -> Iterator[tuple[int, Source]]:
    """The prompts that a mix of prompts was made of, and where the rows of each begin."""
    if not source.parts:
        yield start, source
    for at, part in source.parts:
        yield from _parts(part, start + at)


@dataclass(frozen=True)
class _Text:
    """A prompt as it was written, and which row each of its places became: (first character, after its last, row)."""

    text: str
    weighted: bool
    tokens: list[tuple[int, int, int]]

    @classmethod
    def of(cls, source: Source, start: int) -> _Text:
        """`start` is the row of its first token. Raises ValueError where the tokens are not those of the text."""
        weighted, ids = source.settings.get("weights") != "off", _ids(source)
        pieces = read_by_t5(_tokenizer(), source.text, COMFYUI, weighted).pieces
        if [piece.id for piece in pieces] != [each if each != "embedding" else None for each in ids[: len(pieces)]]:
            raise ValueError(
                "Token Heatmap: the T5 prompt's tokens are not those of its text. Encode it anew with T5 Encode; of a "
                "blend, connect the output of Blend T5 itself, not a saved one."
            )
        read = enumerate(pieces[: len(ids)])
        return cls(source.text, weighted, [(each.start, each.end, start + row) for row, each in read])

    def rows(self, start: int, end: int) -> set[int]:
        return {row for first, after, row in self.tokens if first < end and start < after}

    def find(self, phrase: str) -> set[int]:
        return {row for place in find(self.text, phrase, self.weighted) for row in self.rows(*place)}


def _asked(said: str, texts: list[_Text], asked: str) -> dict[str, set[int]]:
    found = {}
    for word in filter(None, (each.strip() for each in re.split(r"[,\n]", asked))):
        found[word] = {row for text in texts for row in text.find(word)}
        if not found[word]:
            raise ValueError(f"Token Heatmap: the T5 prompt has no word {word!r}. It says: {said}")
    return _few(found)


def _all(texts: list[_Text]) -> dict[str, set[int]]:
    """Every word of the texts that became a token, each once."""
    found: dict[str, tuple[str, set[int]]] = {}
    for text in texts:
        for word, place in words(text.text, text.weighted):
            if rows := text.rows(*place):
                found.setdefault(folded(word), (word.lower(), set()))[1].update(rows)
    return _few(dict(found.values()))


def _few(found: dict) -> dict:
    if not 1 <= len(found) <= MOST_WORDS:
        raise ValueError(
            f"Token Heatmap: got {len(found)} words, expected 1 to {MOST_WORDS}: each is a map for every block and "
            "step. Name the words that you want to see in `words`."
        )
    return found
