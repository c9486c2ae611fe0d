"""Which characters of a prompt became which tokens. Pure, on ComfyUI's tokenizers (comfy/sd1_clip.py, SDTokenizer).

ComfyUI takes a text apart at its weights and at `embedding:name`, tokenizes the parts one by one and fills chunks with
them. The tokens here are its own; only their places are found anew, part by part, and held against them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from .weights import Segment, escape, parse

Place = tuple[int, int]
TOGETHER = {"\u200d", "\ufe0f"}  # what joins emoji into one, and what makes a sign an emoji


class Piece(NamedTuple):  # a tuple, for there are thousands
    """A token: its id (None for a row of a textual inversion), and where its text stands in what the user wrote.

    Several tokens of one character share its place. `chunk` is CLIP-L's chunk of 75, 0 for T5.
    """

    id: int | None
    start: int
    end: int
    weight: float
    chunk: int = 0
    unknown: bool = False


@dataclass(frozen=True)
class Part:
    """Text that is tokenized at once: its characters, and where each stands in what the user wrote."""

    text: str
    places: tuple[Place, ...]

    @classmethod
    def of(cls, source: str, segment: Segment, escapes: bool = True) -> Part:
        if not escapes or "\\" not in source:
            return cls(segment.text, tuple((at, at + 1) for at in range(segment.start, segment.end)))
        places, at = [], segment.start
        while at < segment.end:
            width = 2 if source[at : at + 2] in (r"\(", r"\)") else 1  # an escape is one character of text
            places.append((at, at + width))
            at += width
        return cls(segment.text, tuple(places))

    def cut(self, start: int, end: int | None = None) -> Part:
        return Part(self.text[start:end], self.places[start:end])

    def place(self, start: int, end: int) -> Place:
        """Where characters `start` to `end` stand, with signs that belong to the last of them: accents, joiners."""
        while end < len(self.text) and _belongs(self.text[end]):
            end += 1
        return self.places[start][0], self.places[max(start, end - 1)][1]


def _belongs(character: str) -> bool:
    return bool(unicodedata.combining(character)) or character in TOGETHER


def pieces(tokenizer, text: str, weighted: bool = True) -> list[Piece]:
    """The tokens of `text`, without start, end and pads, in their order.

    `tokenizer` is one encoder's, such as `clip.tokenizer.clip_l` or `.t5xxl`. Unless `weighted`, parentheses are text.
    """
    groups = _native(tokenizer, text if weighted else escape(text))
    segments = parse(text).segments if weighted else [Segment(0, len(text), text, 1.0)]
    found = []
    for segment in segments:
        for part in _parts(tokenizer, Part.of(text, segment, weighted)):
            found += _placed(tokenizer, part, groups)
    return found


Group = list[tuple]  # (id or embedding, weight, chunk) of one part


def _native(tokenizer, text: str) -> list[Group]:
    """ComfyUI's own tokens that stand for text, part by part, in reverse, so that the next one is popped."""
    batches = tokenizer.tokenize_with_weights(text, return_word_ids=True)
    # Part number 0 is that of start, end and pad tokens; a part may go on in the next chunk.
    tokens = [
        (part, token, weight, chunk) for chunk, batch in enumerate(batches) for token, weight, part in batch if part
    ]
    groups = groupby(tokens, key=lambda token: token[0])
    return [[rest for _, *rest in same] for _, same in groups][::-1]


def _parts(tokenizer, part: Part) -> Iterator[Part]:
    """A segment, split before each `embedding:` that follows white space, as ComfyUI does it."""
    starts = [0, *(match.start() for match in re.finditer(r"(?<=\s)" + re.escape(_sign(tokenizer)), part.text))]
    for start, end in zip(starts, [*starts[1:], len(part.text)], strict=True):
        if start < end:
            yield part.cut(start, end)


def _sign(tokenizer) -> str:
    return tokenizer.embedding_identifier


def _placed(tokenizer, part: Part, groups: list[Group]) -> Iterator[Piece]:
    if part.text.startswith(_sign(tokenizer)) and tokenizer.embedding_directory is not None:
        name_end = re.match(r"[^\s<\[]*", part.text).end()  # ComfyUI's rule for where a name ends
        name_end -= len(part.text[:name_end]) - len(part.text[:name_end].rstrip(","))
        if groups and not isinstance(groups[-1][0][0], int):
            place = part.place(0, name_end)
            yield from (Piece(None, *place, weight, chunk) for _, weight, chunk in groups.pop())
        part = part.cut(name_end)
    if part.text:
        yield from _words(tokenizer, part, groups)


def _words(tokenizer, part: Part, groups: list[Group]) -> Iterator[Piece]:
    """Tokens of plain text. Where ComfyUI's differ from the tokenizer's own, all stand for the whole part."""
    said = tokenizer.tokenizer(part.text, return_offsets_mapping=True)
    kept = slice(tokenizer.tokens_start, -1 if tokenizer.tokenizer_adds_end_token else None)
    ids, offsets = said["input_ids"][kept], said["offset_mapping"][kept]
    if not ids:
        return
    group = groups.pop()
    if [token for token, *_ in group] != ids:
        offsets = [(0, len(part.text))] * len(group)
    unknown = tokenizer.tokenizer.unk_token_id
    ends = tokenizer.end_token  # CLIP's unknown token is its end token, which as a word never comes
    for (token, weight, chunk), (start, end) in zip(group, offsets, strict=True):
        yield Piece(token, *part.place(start, end), weight, chunk, token == unknown and token != ends)
