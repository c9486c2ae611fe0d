"""What each road reads of a prompt: every token, read or not, weighted, unknown. Pure, on ComfyUI's tokenizers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .lengths import LENGTHS
from .spans import Piece, pieces
from .weights import implied, parse


@dataclass(frozen=True)
class Reading:
    """One road's tokens of a prompt, in order; those from `read` on do not reach FLUX.1.

    `limit` is how many words' tokens the road can read, None for any number. `pads` is how many pad tokens there are.
    Unless `weighted`, its parentheses are text.
    """

    road: str
    text: str
    pieces: tuple[Piece, ...]
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
        lost = self.pieces[self.read :]
        return self.text[lost[0].start : lost[-1].end] if lost else ""

    @property
    def unknown(self) -> list[str]:
        """What the tokenizer has no token for, each once."""
        return list(dict.fromkeys(self.said(piece) for piece in self.pieces if piece.unknown))

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
            "ids": [piece.id for piece in self.pieces],
            "starts": [piece.start for piece in self.pieces],
            "ends": [piece.end for piece in self.pieces],
            "weights": [piece.weight for piece in self.pieces],
            "chunks": [piece.chunk for piece in self.pieces],
            "unknown": [place for place, piece in enumerate(self.pieces) if piece.unknown],
            "notes": list(self.notes()),
        }  # fmt: skip


def read_by_clip(tokenizer, text: str, weighted: bool = True) -> Reading:
    """CLIP-L: 75 tokens between start and end (Long-CLIP: 246), and what comes after them is lost."""
    found = pieces(tokenizer, text, weighted)
    limit = tokenizer.max_length - 2
    read = sum(piece.chunk == 0 for piece in found)
    return Reading("CLIP", text, tuple(found), read, limit, limit - read, weighted)


def read_by_t5(tokenizer, text: str, length: str, weighted: bool = True) -> Reading:
    """T5 under a length mode, a key of LENGTHS: every token, an end token, and pads."""
    found, rule = pieces(tokenizer, text, weighted), LENGTHS[length]
    limit = None if rule.limit is None else rule.limit - 1  # the end token is always read
    read = len(found) if limit is None else min(len(found), limit)
    minimum = tokenizer.min_length if rule.minimum is None else rule.minimum
    return Reading("T5", text, tuple(found), read, limit, max(0, (minimum or 0) - read - 1), weighted)


def notes(readings: list[Reading]) -> list[str]:
    """What there is to say of a prompt, that of its weights included."""
    told = [note for reading in readings for note in reading.notes()]
    weighted = next((reading.text for reading in readings if reading.weighted), "")
    return told + implied(parse(weighted))
