"""Which numbers are weights, for both encoders. Pure.

ComfyUI accepts all that Python's float() parses: `(grandmother: Nan)` gives a black picture, and `(12:30)` gives "12"
a weight of 30. Here

* what is not a number from -1000 to 1000 is text, for both encoders: `(x: nan)`, `(x: infinity)`, `(Paris: 1920)`;
* a number that may not be meant as a weight is doubtful: beyond -10 to 10, in an unusual format (`1e1`, `1_0`), or a
  whole number after a digit, as in ratios and times (`(16:9)`, `(12:30)`, `(1:1)`). For CLIP, where ComfyUI's weights
  have no effect anyway, it is text; for T5 it is a weight, as in ComfyUI. A note reports either.
"""

from __future__ import annotations

import re

MOST = 1000.0  # the largest weight: larger ones overflow half precision
SURE = 10.0  # larger weights are doubtful
_PLAIN = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*")  # unambiguous, so that it takes linear time

WEIGHT, DOUBTFUL, TEXT = "weight", "doubtful", "text"


def number(text: str, start: int, end: int, behind: int) -> tuple[int, float | None]:
    """(end of the words in `text[start:end]`, number after its last colon); the number is None if there is none.

    `behind` is the offset from which the colon may be: after the last parenthesis.
    """
    colon = text.rfind(":", behind, end)
    if colon > start:
        try:
            return colon, float(text[colon + 1 : end])
        except ValueError:
            pass
    return end, None


def judged(weight: float, words: str, written: str | None = None) -> str:
    """WEIGHT, DOUBTFUL or TEXT, for a number `written` after `words` and a colon; the end of the words suffices.

    `written` is None for an implied weight.
    """
    if not abs(weight) <= MOST:  # also for NaN
        return TEXT
    if abs(weight) > SURE or (written is not None and _is_odd(words, written)):
        return DOUBTFUL
    return WEIGHT


def _is_odd(words: str, written: str) -> bool:
    is_ratio = words.rstrip()[-1:].isdecimal() and written.strip().isdecimal()
    return is_ratio or not _PLAIN.fullmatch(written)
