"""Finds the rows of txt that belong to each chosen word of the T5 prompt. Imports ComfyUI."""

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

NAME = "Token Heatmap"
MOST_WORDS = 64
END_ID = 1


@cache
def _tokenizer():
    return t5_tokenizer()


def wanted(txt: T5Text, chosen: str, node: str = NAME) -> Wanted:
    """The rows of the words or phrases in `chosen`, separated by commas or lines; "" for all of the prompt's words.

    `node` is for messages. Raises ValueError if the T5 prompt's text is unknown, or if it has not a chosen word.
    """
    if txt.source is None:
        raise ValueError(
            "Token Heatmap: the text of this T5 prompt is unknown, so its tokens cannot be matched with words. Connect "
            "the output of T5 Encode, Load Embedding or Blend T5."
        )
    texts = [_Text.of(source, start) for start, source in _parts(txt.source)]
    ids = _ids(txt.source)
    found = _few(_chosen(txt.source.text, texts, chosen, node) if chosen.strip() else _all(texts), node)
    member = torch.zeros(len(ids), len(found) + len(GROUPS), dtype=torch.bool)
    for number, rows in enumerate(found.values()):
        member[sorted(rows), number] = True
    for row, token in enumerate(ids):
        kind = PADS if token == T5_PAD else END if token == END_ID else OTHER
        member[row, len(found) + GROUPS.index(kind)] = not member[row].any()
    real = max((row + 1 for row, token in enumerate(ids) if token != T5_PAD), default=0)
    # Rows after the text's own are those of other texts (regions, negatives).
    others = tuple(text for span in txt.spans for text in _different(span.tensor[:, : len(ids)]))
    return Wanted(tuple(found), member, real if 0 < real < len(ids) else None, others)


def word_rows(source: Source) -> list[set[int]]:
    """The rows of each word of a prompt that is no blend; a word that comes twice is two."""
    text = _Text.of(source, 0)
    return [text.rows(*place) for _, place in words(text.text, text.weighted)]


def _different(text: Tensor) -> Iterator[Tensor]:
    """The different prompts [n, C] of a batch, each once."""
    for number, one in enumerate(text):
        if not any(torch.equal(one, other) for other in text[:number]):
            yield one


def _ids(source: Source) -> list[int | str]:
    return [token for chunk in source.tokens for token, _ in chunk]


def _parts(source: Source, start: int = 0) -> Iterator[tuple[int, Source]]:
    """(first row, prompt) for each prompt of a blend; the prompt itself if it is none."""
    if not source.parts:
        yield start, source
    for at, part in source.parts:
        yield from _parts(part, start + at)


@dataclass(frozen=True)
class _Text:
    """A prompt's text, and for each token (its first character, the one after its last, its row)."""

    text: str
    weighted: bool
    tokens: list[tuple[int, int, int]]

    @classmethod
    def of(cls, source: Source, start: int) -> _Text:
        """`start` is the row of its first token. Raises ValueError if the tokens are not those of the text."""
        weighted, ids = source.settings.get("weights") != "off", _ids(source)
        pieces = read_by_t5(_tokenizer(), source.text, COMFYUI, weighted).pieces
        if [piece.id for piece in pieces] != [each if each != "embedding" else None for each in ids[: len(pieces)]]:
            raise ValueError(
                "Token Heatmap: the T5 prompt's tokens are not those of its text. Encode it again with T5 Encode; for "
                "a blend, connect the output of Blend T5 itself, not a saved one."
            )
        read = enumerate(pieces[: len(ids)])
        return cls(source.text, weighted, [(each.start, each.end, start + row) for row, each in read])

    def rows(self, start: int, end: int) -> set[int]:
        return {row for first, after, row in self.tokens if first < end and start < after}

    def find(self, phrase: str) -> set[int]:
        return {row for place in find(self.text, phrase, self.weighted) for row in self.rows(*place)}


def _chosen(prompt: str, texts: list[_Text], chosen: str, node: str) -> dict[str, set[int]]:
    found = {}
    for word in filter(None, (each.strip() for each in re.split(r"[,\n]", chosen))):
        found[word] = {row for text in texts for row in text.find(word)}
        if not found[word]:
            raise ValueError(f"{node}: the T5 prompt has no word {word!r}. The prompt is: {prompt}")
    return found


def _all(texts: list[_Text]) -> dict[str, set[int]]:
    """Every word of the texts that has at least one token, each once."""
    found: dict[str, tuple[str, set[int]]] = {}
    for text in texts:
        for word, place in words(text.text, text.weighted):
            if rows := text.rows(*place):
                found.setdefault(folded(word), (word.lower(), set()))[1].update(rows)
    return dict(found.values())


def _few(found: dict, node: str) -> dict:
    if not 1 <= len(found) <= MOST_WORDS:
        raise ValueError(
            f"{node}: got {len(found)} words, expected 1 to {MOST_WORDS}: each is a map for every block and "
            "step. Name the words that you want to see in `words`."
        )
    return found
