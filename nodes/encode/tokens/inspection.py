"""What each stream reads of a prompt: every token, read or not, weighted, unknown. Pure, on ComfyUI's tokenizers."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress

from ...flux1_sizes import TXT_WIDTH, VEC_WIDTH
from ...quoting import shorten
from .lengths import LENGTHS
from .spans import Exists, Piece, Pieces, pieces
from .weights import Weighted, doubts, implied, parse

CLIP, T5 = "CLIP", "T5"
_ROWS = {CLIP: VEC_WIDTH, T5: TXT_WIDTH}  # how wide an encoder's rows are
_LONG = 300  # characters of a note's quotation


@dataclass(frozen=True)
class PromptReading:
    """One stream's tokens of a prompt, in order; those from `read` on do not reach FLUX.1.

    `limit` is how many words' tokens the stream can read, None for any number. `pads` is how many pad tokens there are.
    Unless `weighted`, its parentheses are text.
    """

    stream: str
    text: str
    pieces: Pieces
    read: int
    limit: int | None
    pads: int
    weighted: bool = True

    def said(self, piece: Piece) -> str:
        """The characters of a token, as the user wrote them."""
        return self.text[piece.start : piece.end]

    @property
    def unread(self) -> str:
        """The text that does not reach FLUX.1."""
        if self.read == len(self.pieces):
            return ""
        return self.text[self.pieces.starts[self.read] : self.pieces.ends[-1]]

    @property
    def unknown(self) -> list[str]:
        """What the tokenizer has no token for, each once. Of a run of accents on one sign no more than can be told."""
        signs = compress(zip(self.pieces.starts, self.pieces.ends, strict=True), self.pieces.unknown)
        return list(dict.fromkeys(self.text[start : min(end, start + _LONG + 1)] for start, end in signs))

    @property
    def prompt(self) -> Weighted | None:
        """The text with its weights, by this stream's rule; None where parentheses are text."""
        return parse(self.text, self.stream == CLIP) if self.weighted else None

    @property
    def headline(self) -> str:
        """As a counter says it: 23 / 75, 52 pads."""
        count = f"{len(self.pieces)} / {self.limit}" if self.limit is not None else f"{len(self.pieces)}"
        return f"{self.stream}: {count} tokens, {self.pads} pads"

    def notes(self) -> Iterator[str]:
        """What a user should know of the tokens."""
        if self.unread:
            yield f"{self.stream} does not read: {shorten(self.unread, _LONG)}"
        if self.unknown:
            yield f"{self.stream} has no token for: {shorten(' '.join(self.unknown), _LONG)}"
        yield from self.ignored()

    def ignored(self) -> Iterator[str]:
        """Which textual inversions have no effect, and why."""
        for start, end, wide in dict.fromkeys(self.pieces.ignored):
            name = shorten(self.text[start:end], _LONG)
            if wide is None:
                yield f"There is no {name}: {self.stream} reads nothing there."
            else:
                yield f"{self.stream} cannot read {name}: its rows are {wide} wide, expected {_ROWS[self.stream]}."

    def of_weights(self) -> list[str]:
        """What there is to tell of its parentheses."""
        prompt = self.prompt
        return [] if prompt is None else [*doubts(prompt, self.stream), *implied(prompt)]

    def as_json(self) -> dict:
        """Plain data, a list for each column: thousands of tokens stay small."""
        return {
            "road": self.stream, "count": len(self.pieces), "read": self.read, "limit": self.limit, "pads": self.pads,
            "ids": self.pieces.ids, "starts": self.pieces.starts, "ends": self.pieces.ends,
            "weights": self.pieces.weights, "chunks": self.pieces.chunks,
            "unknown": list(compress(range(len(self.pieces)), self.pieces.unknown)),
            "ignored": [[start, end] for start, end, _ in self.pieces.ignored],
            "notes": list(self.notes()),
        }  # fmt: skip


def read_by_clip(tokenizer, text: str, weighted: bool = True, exists: Exists | None = None) -> PromptReading:
    """CLIP-L: 75 tokens between start and end (Long-CLIP: 246), and what comes after them is lost."""
    found = pieces(tokenizer, text, weighted, strict=True, exists=exists)
    limit = tokenizer.max_length - 2
    read = found.chunks.count(0)
    return PromptReading(CLIP, text, found, read, limit, limit - read, weighted)


def read_by_t5(tokenizer, text: str, length: str, weighted: bool = True, exists: Exists | None = None) -> PromptReading:
    """T5 under a length mode, a key of LENGTHS: every token, an end token, and pads."""
    found, rule = pieces(tokenizer, text, weighted, exists=exists), LENGTHS[length]
    limit = None if rule.limit is None else rule.limit - 1  # the end token is always read
    read = len(found) if limit is None else min(len(found), limit)
    minimum = tokenizer.min_length if rule.minimum is None else rule.minimum
    return PromptReading(T5, text, found, read, limit, max(0, (minimum or 0) - read - 1), weighted)


def notes(readings: list[PromptReading]) -> list[str]:
    """What there is to say of a prompt, that of its weights included; once, where it is true for both streams."""
    told = [note for reading in readings for note in reading.notes()]
    return list(dict.fromkeys(told + [note for reading in readings for note in reading.of_weights()]))


def named_among(files: Iterable[str]) -> Exists:
    """Whether ComfyUI finds a textual inversion by a name, in folders that hold these files (paths from the folder).

    It looks in every folder below them too, with and without an ending (sd1_clip.py, `load_embed`).
    """
    paths = [file.replace("\\", "/") for file in files]
    known = {stem for path in paths for stem in (path, _without_ending(path))}
    known |= {"/".join(parts[at:]) for parts in (name.split("/") for name in known) for at in range(1, len(parts))}
    return lambda name: posixpath.normpath(name.replace("\\", "/")) in known


def _without_ending(path: str) -> str:
    stem, ending = posixpath.splitext(path)
    return stem if ending in (".safetensors", ".pt", ".bin") else path


def has_inversion(tokenizer, text: str) -> bool:
    """Whether a text may name a textual inversion."""
    return tokenizer.embedding_identifier in text
