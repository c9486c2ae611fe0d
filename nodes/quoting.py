"""User text, shortened for messages. Pure."""

from __future__ import annotations

import re
import unicodedata

JOINERS = {"\u200d", "\ufe0f"}  # zero-width joiner (joins emoji), variation selector 16 (makes a character an emoji)
ELLIPSIS = " ..."
_SOME = re.compile(r"\S{1,64}")


def shorten(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters, with an ellipsis where it was cut.

    May cut inside a word, but never between a character and its accents or joiners. Reads only the beginning of a long
    text.
    """
    line = _beginning(text, most)
    if len(line) <= most:
        return line
    end = most - len(ELLIPSIS)
    while end > 0 and (is_attached(line[end]) or line[end - 1] == "\u200d"):
        end -= 1
    return line[:end].rstrip() + ELLIPSIS


def quoted(texts: list[str], each: int = 40, most: int = 5) -> str:
    """The first `most` different texts, each cut to `each` characters, separated by commas."""
    different = list(dict.fromkeys(shorten(text, each) for text in texts))
    more = [f"and {len(different) - most} more"] if len(different) > most else []
    return ", ".join(different[:most] + more)


def _beginning(text: str, most: int) -> str:
    """`text` with single spaces; of a long text a little more than the first `most` characters."""
    if len(text) <= most:
        return " ".join(text.split())
    parts, length, end = [], 0, 0
    for found in _SOME.finditer(text):
        parts += [" "] * (found.start() > end and bool(parts)) + [found[0]]
        length, end = length + len(found[0]), found.end()
        if length > most:
            break
    return "".join(parts)


def is_attached(character: str) -> bool:
    """Whether a character is displayed as part of the one before it: an accent, a joiner, a variation selector."""
    return bool(unicodedata.combining(character)) or character in JOINERS
