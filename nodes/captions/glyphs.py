"""Text that the pictures' font can draw, in the room that there is. Pure, on PIL."""

from __future__ import annotations

from functools import lru_cache

from ..probe.plots.charts import font

DOTS = "..."


def drawable(text: str) -> str:
    """The text, with code points instead of characters that the font does not have."""
    return "".join(each if each.isascii() or _has(each) else f"U+{ord(each):04X}" for each in text)


@lru_cache(maxsize=4096)
def _has(character: str) -> bool:
    """The font draws all characters that it lacks alike, such as a private one."""
    return character.isspace() or bytes(font().getmask(character)) != bytes(font().getmask("\ue000"))


def fitting(text: str, width: float, end: bool = True) -> str:
    """As much of the text as `width` pixels hold, with dots where it is cut: at its end, or at its beginning."""
    if font().getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:  # the most characters that fit beside the dots
        middle = (low + high + 1) // 2
        part = text[:middle] if end else text[-middle:]
        low, high = (middle, high) if font().getlength(part + DOTS) <= width else (low, middle - 1)
    return text[:low] + DOTS if end else DOTS + text[len(text) - low :]
