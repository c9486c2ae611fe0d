"""What each road reads of a prompt: every token, read or not, weighted, unknown. Pure, on ComfyUI's tokenizers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress

from .lengths import LENGTHS
from .spans import Piece, Pieces, pieces
from .weights import implied, parse


@dataclass(frozen=True)
class Reading:
    """One road's tokens of a prompt, in order; those from `read` on do not reach FLUX.1.

    `limit` is how many words' tokens the road can read, None for any number. `pads` is how many pad tokens there are.
    Unless `weighted`, its parentheses are text.
    """

    road: str
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
        """What the tokenizer has no token for, each once."""
        signs = compress(zip(self.pieces.starts, self.pieces.ends, strict=True), self.pieces.unknown)
        return list(dict.fromkeys(self.text[start:end] for start, end in signs))

    @property
    def headline(self) -> str:
        """As a counter says it: 23 / 75, 52 pads."""
        count = f"{len(self.pieces)} / {self.limit}" if self.limit is not None else f"{len(self.pieces)}"
        return f"{self.road}: {count} tokens, {self.pads} pads"

    def notes(self) -> Iterator[str]:
        """What a user should know."""
        if self.unread:
            yield f"{self.road} does not read: {self.unread}"
        if self.unknown:
            yield f"{self.road} has no token for: {' '.join(self.unknown)}"

    def as_json(self) -> dict:
        """Plain data, a list for each column: thousands of tokens stay small."""
        return {
            "road": self.road, "count": len(self.pieces), "read": self.read, "limit": self.limit, "pads": self.pads,
            "ids": self.pieces.ids, "starts": self.pieces.starts, "ends": self.pieces.ends,
            "weights": _finite(self.pieces.weights), "chunks": self.pieces.chunks,
            "unknown": list(compress(range(len(self.pieces)), self.pieces.unknown)),
            "notes": list(self.notes()),
        }  # fmt: skip


def _finite(weights: list[float]) -> list[float | None]:
    """Weights as JSON has numbers for them: `(a:nan)` and `(a:inf)` are weights to ComfyUI, but none to JSON."""
    if all(map(math.isfinite, weights)):
        return weights
    return [weight if math.isfinite(weight) else None for weight in weights]


def read_by_clip(tokenizer, text: str, weighted: bool = True) -> Reading:
    """CLIP-L: 75 tokens between start and end (Long-CLIP: 246), and what comes after them is lost."""
    found = pieces(tokenizer, text, weighted)
    limit = tokenizer.max_length - 2
    read = found.chunks.count(0)
    return Reading("CLIP", text, found, read, limit, limit - read, weighted)


def read_by_t5(tokenizer, text: str, length: str, weighted: bool = True) -> Reading:
    """T5 under a length mode, a key of LENGTHS: every token, an end token, and pads."""
    found, rule = pieces(tokenizer, text, weighted), LENGTHS[length]
    limit = None if rule.limit is None else rule.limit - 1  # the end token is always read
    read = len(found) if limit is None else min(len(found), limit)
    minimum = tokenizer.min_length if rule.minimum is None else rule.minimum
    return Reading("T5", text, found, read, limit, max(0, (minimum or 0) - read - 1), weighted)


def notes(readings: list[Reading]) -> list[str]:
    """What there is to say of a prompt, that of its weights included."""
    told = [note for reading in readings for note in reading.notes()]
    weighted = next((reading.text for reading in readings if reading.weighted), "")
    return told + implied(parse(weighted))
