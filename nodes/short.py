"""Texts cut to a length, for notes. Pure."""

from __future__ import annotations

import unicodedata

TOGETHER = {"\u200d", "\ufe0f"}  # what joins emoji into one, and what makes a sign an emoji
ELLIPSIS = " ..."


def shorten(text: str, most: int) -> str:
    """`text` on one line, of at most `most` characters: cut at a character, so that words without spaces are cut too.

    No accent or joiner is cut off its sign.
    """
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    end = most - len(ELLIPSIS)
    while end > 0 and (_belongs(line[end]) or line[end - 1] == "\u200d"):
        end -= 1
    return line[:end].rstrip() + ELLIPSIS


def quoted(texts: list[str], each: int = 40, most: int = 5) -> str:
    """Some of these texts, each once and shortened, with commas between them."""
    different = list(dict.fromkeys(shorten(text, each) for text in texts))
    more = [f"and {len(different) - most} more"] if len(different) > most else []
    return ", ".join(different[:most] + more)


def _belongs(sign: str) -> bool:
    """Whether a sign belongs to the one before it."""
    return bool(unicodedata.combining(sign)) or sign in TOGETHER
