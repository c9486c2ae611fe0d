"""How each encoder reads a prompt: tokens, those cut off, weights, unknown ones. Pure, on ComfyUI's tokenizers."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress

from ...flux1_sizes import TXT_WIDTH, VEC_WIDTH
from ...quoting import shorten
from .lengths import DEV, LENGTHS, SCHNELL
from .spans import Exists, Piece, Pieces, pieces
from .weights import Weighted, doubts, implied, parse

CLIP, T5 = "CLIP", "T5"  # the encoders' names
_WIDTHS = {CLIP: VEC_WIDTH, T5: TXT_WIDTH}  # of the encoders' rows
LONGEST = LENGTHS[DEV].limit or 0
_LONG = 300  # characters of a quotation in a note


@dataclass(frozen=True)
class PromptReading:
    """One encoder's tokens of a prompt, in order; those from index `read` on are cut off.

    `encoder` is CLIP or T5. `limit` is the number of tokens that the encoder can read, without start and end tokens;
    None for no limit. `pads` is the number of pad tokens. Unless `weighted`, parentheses are text.
    """

    encoder: str
    text: str
    pieces: Pieces
    read: int
    limit: int | None
    pads: int
    weighted: bool = True

    def written(self, piece: Piece) -> str:
        """The characters of a token in the user's text."""
        return self.text[piece.start : piece.end]

    @property
    def unread(self) -> str:
        """The text that is cut off."""
        if self.read == len(self.pieces):
            return ""
        return self.text[self.pieces.starts[self.read] : self.pieces.ends[-1]]

    @property
    def unknown(self) -> list[str]:
        """The distinct texts that the tokenizer has no token for, each cut to what a note can show."""
        places = compress(zip(self.pieces.starts, self.pieces.ends, strict=True), self.pieces.unknown)
        return list(dict.fromkeys(self.text[start : min(end, start + _LONG + 1)] for start, end in places))

    @property
    def prompt(self) -> Weighted | None:
        """The text parsed for weights, by this encoder's rule; None if parentheses are text."""
        return parse(self.text, self.encoder == CLIP) if self.weighted else None

    @property
    def headline(self) -> str:
        """The counts in words, such as "CLIP: 23 / 75 tokens, 52 pads". T5's include the end token, as lengths do."""
        end = self.encoder == T5
        limit = "" if self.limit is None else f" / {self.limit + end}"
        return f"{self.encoder}: {len(self.pieces) + end}{limit} tokens{' with the end token' * end}, {self.pads} pads"

    def notes(self) -> Iterator[str]:
        """Notes for the user on cut off, unknown and ignored text."""
        if self.unread:
            yield f"{self.encoder} does not read: {shorten(self.unread, _LONG)}"
        if self.unknown:
            yield f"{self.encoder} has no token for: {shorten(' '.join(self.unknown), _LONG)}"
        yield from self.ignored()

    def ignored(self) -> Iterator[str]:
        """Notes on textual inversions without effect."""
        for start, end, wide in dict.fromkeys(self.pieces.ignored):
            name = shorten(self.text[start:end], _LONG)
            if wide is None:
                yield f"{name} was not found, so {self.encoder} ignores it."
            else:
                fits = f"it has width {wide}, expected {_WIDTHS[self.encoder]}"
                yield f"{self.encoder} ignores {name}: {fits}. It was made for another text encoder."

    @property
    def untrained(self) -> list[str]:
        """A note on a T5 prompt that is longer than any in FLUX.1's training."""
        rows = self.read + 1
        return [untrained(rows)] if self.encoder == T5 and rows > LONGEST else []

    def weight_notes(self) -> list[str]:
        """Notes on parentheses."""
        prompt = self.prompt
        return [] if prompt is None else [*doubts(prompt, self.encoder), *implied(prompt)]

    def as_json(self) -> dict:
        """Plain data for JSON, with a list per column, which is compact for thousands of tokens."""
        return {
            "road": self.encoder, "count": len(self.pieces), "read": self.read, "limit": self.limit, "pads": self.pads,
            "ids": self.pieces.ids, "starts": self.pieces.starts, "ends": self.pieces.ends,
            "weights": self.pieces.weights, "chunks": self.pieces.chunks,
            "unknown": list(compress(range(len(self.pieces)), self.pieces.unknown)),
            "ignored": [[start, end] for start, end, _ in self.pieces.ignored],
            "notes": list(self.notes()),
        }  # fmt: skip


def read_by_clip(tokenizer, text: str, weighted: bool = True, exists: Exists | None = None) -> PromptReading:
    """CLIP-L's reading: 75 tokens (Long-CLIP: 246) between start and end token; the rest is cut off."""
    found = pieces(tokenizer, text, weighted, strict=True, exists=exists)
    limit = tokenizer.max_length - 2
    read = found.chunks.count(0)
    return PromptReading(CLIP, text, found, read, limit, limit - read, weighted)


def read_by_t5(tokenizer, text: str, length: str, weighted: bool = True, exists: Exists | None = None) -> PromptReading:
    """T5's reading with a length rule, a key of LENGTHS: tokens, an end token, and pads."""
    found, rule = pieces(tokenizer, text, weighted, exists=exists), LENGTHS[length]
    limit = None if rule.limit is None else rule.limit - 1  # the end token is always read
    read = len(found) if limit is None else min(len(found), limit)
    minimum = tokenizer.min_length if rule.minimum is None else rule.minimum
    return PromptReading(T5, text, found, read, limit, max(0, (minimum or 0) - read - 1), weighted)


def untrained(rows: int) -> str:
    """A note on more T5 tokens than FLUX.1 was trained on, with the end token."""
    return (
        f"T5: {rows} tokens with the end token. FLUX.1 dev was trained on at most {LONGEST}, schnell on "
        f"{LENGTHS[SCHNELL].limit}: tokens beyond that may be ignored, or blur the picture."
    )


def notes(readings: list[PromptReading]) -> list[str]:
    """All notes on a prompt, including its weights and its length, without duplicates."""
    found = [note for reading in readings for note in reading.notes()]
    more = [note for reading in readings for note in [*reading.untrained, *reading.weight_notes()]]
    return list(dict.fromkeys(found + more))


def named_among(files: Iterable[str]) -> Exists:
    """A function: whether ComfyUI finds a textual inversion of this name in folders with these files (relative paths).

    ComfyUI also searches subfolders, with and without a file extension (sd1_clip.py, `load_embed`).
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
