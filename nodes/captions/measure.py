"""How many tokens each encoder reads of each caption, and what it does not read. Pure, on ComfyUI's tokenizers.

Trainers tokenize the text as it is: parentheses and numbers such as (word:1.2) are text. CLIP-L reads 75 tokens
between its start and end token; T5 reads a chosen number, the last of which is its end token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..encode.tokens.lengths import T5_UNKNOWN
from ..encode.tokens.words import Tokens, words_of
from ..flux1_sizes import CLIP_POSITIONS
from .read import Caption

CLIP_LIMIT = CLIP_POSITIONS - 2
AT_ONCE = 256  # captions: of more, the tokens would fill the memory
_BEFORE, _AFTER = re.compile(r"\w+$"), re.compile(r"^\w+")
_LONGEST_WORD = 80  # characters looked at on each side of a cut
SPACE = "_"  # in place of the sign with which T5 begins a word


@dataclass(frozen=True)
class Count:
    """One encoder's tokens of a caption. Of more than `limit` the rest is not read: the text from `cut` on.

    `split` are the two parts of the word in which the cut falls. `unknown` are texts without a token.
    """

    tokens: int
    limit: int
    cut: int | None = None
    split: tuple[str, str] | None = None
    unknown: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        return max(0, self.tokens - self.limit)


@dataclass(frozen=True)
class Measured:
    caption: Caption
    clip: Count
    t5: Count

    def of(self, encoder: str) -> Count:
        return self.clip if encoder == "CLIP" else self.t5

    def unread(self, count: Count) -> str:
        """The text that an encoder does not read."""
        return "" if count.cut is None else self.caption.text[count.cut :]


@dataclass(frozen=True)
class Tokenizers:
    """CLIP-L's and T5's SDTokenizer of FLUX.1, and T5's length with its end token."""

    clip_l: object
    t5: object
    t5_length: int

    @property
    def t5_limit(self) -> int:
        return self.t5_length - 1


def measured(captions: Sequence[Caption], tokenizers: Tokenizers, pause: Callable[[], None]) -> list[Measured]:
    """Every caption's counts; `pause` is called now and then, and may raise to end the work."""
    found = []
    for first in range(0, len(captions), AT_ONCE):
        pause()
        some = captions[first : first + AT_ONCE]
        texts = [caption.text for caption in some]
        clips = (_count(*each, CLIP_LIMIT, None) for each in zip(texts, tokens(tokenizers.clip_l, texts), strict=True))
        t5s = (_count(*each, tokenizers.t5_limit, T5_UNKNOWN)
               for each in zip(texts, tokens(tokenizers.t5, texts), strict=True))  # fmt: skip
        found += map(Measured, some, clips, t5s)
    return found


def tokens(tokenizer, texts: Sequence[str]) -> list[Tokens]:
    """The tokens of each text, without start and end tokens."""
    return words_of(tokenizer).tokens(texts, [0] * len(texts))


def _count(text: str, found: Tokens, limit: int, unknown: int | None) -> Count:
    ids, starts, _ = found
    texts = _without_token(text, found, unknown) if unknown in ids else ()
    if len(ids) <= limit:
        return Count(len(ids), limit, unknown=texts)
    cut = starts[limit]
    return Count(len(ids), limit, cut, _split(text, cut), texts)


def _without_token(text: str, found: Tokens, unknown: int | None) -> tuple[str, ...]:
    """The different texts that have the unknown token, in order."""
    places = zip(*found, strict=True)
    return tuple(dict.fromkeys(text[start:end] for token, start, end in places if token == unknown))


def _split(text: str, cut: int) -> tuple[str, str] | None:
    """The two parts of the word that a cut falls into; None between words."""
    before = _BEFORE.search(text[max(0, cut - _LONGEST_WORD) : cut])
    after = _AFTER.search(text[cut : cut + _LONGEST_WORD])
    return (before[0], after[0]) if before and after else None


def written(tokenizer, text: str) -> tuple[str, ...]:
    """A text's tokens as they are written; T5's sign for a word's beginning is shown where it is a token by itself."""
    [(ids, starts, ends)] = tokens(tokenizer, [text])
    bare = tokenizer.tokenizer.convert_tokens_to_ids("\u2581")
    return tuple(
        SPACE if token == bare else text[start:end] for token, start, end in zip(ids, starts, ends, strict=True)
    )


def unknown_to_t5(tokenizer, text: str) -> tuple[str, ...]:
    """The parts of a text that T5 has no token for."""
    [found] = tokens(tokenizer, [text])
    return _without_token(text, found, T5_UNKNOWN)
