"""Texts cut to a length, for notes. Pure."""

from __future__ import annotations

import re
import unicodedata

TOGETHER = {"\u200d", "\ufe0f"}  # what joins emoji into one, and what makes a sign an emoji
ELLIPSIS = " ..."
_SOME = re.compile(r"\S{1,64}")


def shorten(text: str, most: int) -> str:
    """`text` on one line, of at most `most` characters: cut at a character, so that words without spaces are cut too.

    No accent or joiner is cut off its sign. Of a long text only the beginning is looked at.
    """
    line = _begun(text, most)
    if len(line) <= most:
        return line
    end = most - len(ELLIPSIS)
    while end > 0 and (belongs(line[end]) or line[end - 1] == "\u200d"):
        end -= 1
    return line[:end].rstrip() + ELLIPSIS


def quoted(texts: list[str], each: int = 40, most: int = 5) -> str:
    """Some of these texts, each once and shortened, with commas between them."""
    different = list(dict.fromkeys(shorten(text, each) for text in texts))
    more = [f"and {len(different) - most} more"] if len(different) > most else []
    return ", ".join(different[:most] + more)


def _begun(text: str, most: int) -> str:
    """`text` with single spaces; more than `most` characters of it are enough."""
    if len(text) <= most:
        return " ".join(text.split())
    parts, length, end = [], 0, 0
    for found in _SOME.finditer(text):
        parts += [" "] * (found.start() > end and bool(parts)) + [found[0]]
        length, end = length + len(found[0]), found.end()
        if length > most:
            break
    return "".join(parts)


def belongs(sign: str) -> bool:
    """Whether a sign belongs to the one before it."""
    return bool(unicodedata.combining(sign)) or sign in TOGETHER
