"""Finds words and phrases in a prompt. Pure.

The search ignores weights, backslashes, the kind and amount of white space, case, and whether accents are composed
(NFC) or decomposed (NFD). Results are character positions in the source text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from ..encode.tokens.spans import CHARACTER
from ..encode.tokens.weights import Segment, parse

_FIRST_MARK = "\u0300"  # no accent comes before it
_FEW = 64  # characters, up to which sorting accents takes no time
Place = tuple[int, int]  # from its first character to after its last


class Sign(NamedTuple):
    """A base character with its accents: as displayed (`text`), as compared (`folded`), and its place in the source.

    `first` is True at the start of a segment that is tokenized separately: no word continues across it.
    """

    text: str
    folded: str
    place: Place
    first: bool

    @property
    def is_word(self) -> bool:
        return self.text[0].isalnum() or self.text[0] in "_'-\u2019"


def signs(text: str, weighted: bool = True) -> list[Sign]:
    """The characters of a prompt without its weight syntax; unless `weighted`, parentheses are text."""
    segments = parse(text).segments if weighted else [Segment(0, len(text), text, 1.0)]
    return [sign for segment in segments for sign in _of(text, segment, weighted)]


def _of(source: str, segment: Segment, weighted: bool) -> Iterator[Sign]:
    shape = CHARACTER if weighted else re.compile(".", re.DOTALL)
    clusters: list[list] = []  # [characters, end position]
    for match in shape.finditer(source, segment.start, segment.end):
        character = match[0][-1]  # without the backslash of an escape
        if character >= _FIRST_MARK and clusters and unicodedata.category(character).startswith("M"):
            clusters[-1][0].append(character)
            clusters[-1][1] = match.end()
        else:
            clusters.append([[character], match.end()])
    start = segment.start
    for number, (characters, end) in enumerate(clusters):
        yield Sign(*_forms("".join(characters)), (start, end), number == 0)
        start = end


def _forms(cluster: str) -> tuple[str, str]:
    """(NFC form, folded form) of a character with its accents; short ones are cached."""
    return _known(cluster) if len(cluster) < _FEW else _known.__wrapped__(cluster)


@lru_cache(maxsize=4096)
def _known(cluster: str) -> tuple[str, str]:
    ordered = _ordered(cluster)
    return unicodedata.normalize("NFC", ordered), folded(ordered)


def folded(text: str) -> str:
    """The form in which texts are compared: NFKD, case folded, each run of white space as one space."""
    text = unicodedata.normalize("NFKD", _ordered(text)).casefold()
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKD", text).replace("\u2019", "'"))


def _ordered(text: str) -> str:
    """The text with its accents in canonical order, so that `unicodedata.normalize` has nothing to sort.

    `normalize` sorts each run of accents by exchanging neighbours, in quadratic time: a run of 100,000 accents that
    alternate between above and below takes a minute.
    """
    if len(text) < _FEW:
        return text
    decomposed = "".join(unicodedata.normalize("NFD", character) for character in text)
    runs = groupby(decomposed, key=lambda character: unicodedata.combining(character) > 0)
    return "".join("".join(sorted(run, key=unicodedata.combining) if accents else run) for accents, run in runs)


def find(text: str, phrase: str, weighted: bool = True) -> list[Place]:
    r"""(start, end) of each occurrence of a word or phrase in a prompt, whole words only; `\(` is a parenthesis."""
    wanted = folded(re.sub(r"\\([()])", r"\1", phrase)).strip()
    read = _single_spaced(signs(text, weighted))
    whole = "".join(sign.folded for sign in read)
    starts = {}  # position in `whole` -> index of the sign that begins there
    length = 0
    for number, sign in enumerate(read):
        starts[length] = number
        length += len(sign.folded)
    starts[length] = len(read)
    found = []
    for match in re.finditer(re.escape(wanted), whole) if wanted else ():
        first, after = starts.get(match.start()), starts.get(match.end())
        if first is not None and after is not None and _parted(read, first) and _parted(read, after):
            found.append((read[first].place[0], read[after - 1].place[1]))
    return found


def _single_spaced(read: list[Sign]) -> list[Sign]:
    return [sign for number, sign in enumerate(read)
            if sign.folded != " " or not number or read[number - 1].folded != " "]  # fmt: skip


def _parted(read: list[Sign], at: int) -> bool:
    """Whether there is a word boundary before this sign."""
    if at in (0, len(read)) or read[at].first:
        return True
    return not (_letter(read[at - 1]) and _letter(read[at]))


def _letter(sign: Sign) -> bool:
    return sign.text[0].isalnum() or sign.text[0] == "_"


def words(text: str, weighted: bool = True) -> Iterator[tuple[str, Place]]:
    """Every word of a prompt with its (start, end) in the source."""
    number = 0
    runs = []
    for sign in signs(text, weighted):
        number += sign.first
        runs.append((number, sign))
    for (is_word, _), same in groupby(runs, key=lambda each: (each[1].is_word, each[0])):
        if is_word:
            own = [sign for _, sign in same]
            yield "".join(sign.text for sign in own), (own[0].place[0], own[-1].place[1])
