"""Which numbers are weights: the one rule, for both encoders. Pure.

ComfyUI takes for a weight all that Python's float() reads: `(grandmother: Nan)` gives a black picture, and `(12:30)`
weighs "12" thirty times. Here

* what is not a number from -1000 to 1000 is text, in both streams: `(x: nan)`, `(x: infinity)`, `(Paris: 1920)`;
* what may be no weight is doubtful: beyond -10 to 10, written unlike a weight (`1e1`, `1_0`), or a whole number behind
  a digit, as in ratios and times (`(16:9)`, `(12:30)`, `(1:1)`). For CLIP, where native weights do nothing anyway, it
  is text; for T5 it stays the weight that it is natively. Either is told.
"""

from __future__ import annotations

import re

MOST = 1000.0  # no weight is larger: rows times as much as this overflow half precision
SURE = 10.0  # larger ones are doubtful
_PLAIN = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*")  # each digit read in one way

WEIGHT, DOUBTFUL, TEXT = "weight", "doubtful", "text"


def number(text: str, start: int, end: int, behind: int) -> tuple[int, float | None]:
    """Where the words of `text[start:end]` end, and the number after its last colon, if ComfyUI reads one there.

    `behind` is from where a number can stand: behind the last parenthesis.
    """
    colon = text.rfind(":", behind, end)
    if colon > start:
        try:
            return colon, float(text[colon + 1 : end])
        except ValueError:
            pass
    return end, None


def judged(weight: float, words: str, written: str | None = None) -> str:
    """WEIGHT, DOUBTFUL or TEXT, for a weight that was `written` behind `words` (their end will do) and a colon.

    `written` is None where the weight was implied.
    """
    if not abs(weight) <= MOST:  # nor is NaN
        return TEXT
    if abs(weight) > SURE or (written is not None and _is_odd(words, written)):
        return DOUBTFUL
    return WEIGHT


def _is_odd(words: str, written: str) -> bool:
    is_ratio = words.rstrip()[-1:].isdecimal() and written.strip().isdecimal()
    return is_ratio or not _PLAIN.fullmatch(written)
