"""The number of T5 rows: the padding and truncation rules of FLUX.1's implementations. Pure.

T5's rows are not masked in FLUX.1, so padding has an effect too (Padding Tone, arXiv 2501.06751): the length is part of
the prompt. BFL pads and truncates to 512, for schnell to 256 (flux/cli.py); ComfyUI pads to at least 256 and never
truncates.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Length:
    """Pad with id 0 to `minimum` rows (None: the CLIP's own setting), truncate to `limit` rows (None: never)."""

    minimum: int | None
    limit: int | None


COMFYUI = "ComfyUI"
DEV, SCHNELL = "official 512", "official 256"
LENGTHS = {
    COMFYUI: Length(None, None),
    DEV: Length(512, 512),
    SCHNELL: Length(256, 256),
    "exact": Length(0, None),
}

Tokens = list[tuple]  # (id or embedding tensor, weight)
CLIP_START, CLIP_END = 49406, 49407  # CLIP-L pads with its end token
T5_PAD, T5_UNKNOWN = 0, 2


def words(chunk: Tokens) -> list:
    """The tokens of a CLIP-L chunk between its start and its first end token: ids, or embedding tensors."""
    tokens = [token for token, *_ in chunk]
    ends = (place for place, token in enumerate(tokens) if isinstance(token, int) and token == CLIP_END)
    return tokens[1 : next(ends, len(tokens))]


def unweighted(chunks: list[Tokens]) -> list[Tokens]:
    """The same tokens, with weight 1."""
    return [[(token, 1.0) for token, _ in chunk] for chunk in chunks]


def cut(tokens: Tokens, limit: int | None) -> tuple[Tokens, Tokens]:
    """(tokens kept, tokens cut off), as Hugging Face's truncation=True: the end token stays the last."""
    if limit is None or len(tokens) <= limit:
        return tokens, []
    return tokens[: limit - 1] + tokens[-1:], tokens[limit - 1 : -1]
