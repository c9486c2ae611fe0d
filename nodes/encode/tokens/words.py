"""The tokens of a text, word by word, each word tokenized once. Pure, on ComfyUI's tokenizers (comfy/sd1_clip.py).

No token of CLIP-L or T5 reaches over a space between two ASCII characters: both tokenizers split at white space, and
what they normalize before (NFC, grapheme clusters, case) changes nothing across it. So a text's tokens are its words',
and while a prompt is typed only its new words are tokenized. At 5,000 words, about the longest text that is read, a
request takes 49 ms so and 162 ms without; a usual prompt takes 0.6 and 0.8 ms. A word's place is known, too, where
T5's tokenizer drops a control character before it, after which the places that it gives are too low.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise, repeat
from operator import sub
from typing import NamedTuple
from weakref import WeakKeyDictionary

from ...quoting import belongs

BETWEEN = re.compile("(?<=[!-~]) (?=[!-~])")
MOST = 200_000  # characters of words that are remembered: all of the longest text that the front end may send, twice


class Tokens(NamedTuple):
    """Ids, and where the text of each begins and ends."""

    ids: list[int]
    starts: list[int]
    ends: list[int]


Read = tuple[Sequence[int], Sequence[int], Sequence[int]]  # Tokens of one word; plain, for there are thousands


class Words:
    """What one tokenizer made of words, for as long as they are not too many."""

    def __init__(self, tokenizer):
        self._tokenize = _tokenized_by(tokenizer)
        self._kept: dict[str, Read] = {}
        self._size = 0

    def tokens(self, texts: Sequence[str], begins: Sequence[int]) -> list[Tokens]:
        """Those of each text, without start and end tokens, in places that count from where it begins.

        All new words are tokenized at once, which takes less time.
        """
        words = [_split(text) for text in texts]
        known = self._known(chain.from_iterable(words))
        tokens = ([known[word] for word in each] for each in words)
        return list(map(_together, words, tokens, begins))

    def _known(self, words: Iterable[str]) -> dict[str, Read]:
        """The tokens of these words, among others. A new memory takes over from a full one, which another thread may
        be reading."""
        if self._size > MOST:
            self._kept, self._size = {}, 0
        kept = self._kept
        if new := [word for word in dict.fromkeys(words) if word not in kept]:
            kept.update(self._tokenize(new))
            self._size += sum(map(len, new))
        return kept


_words: WeakKeyDictionary = WeakKeyDictionary()


def words_of(tokenizer) -> Words:
    """A tokenizer's words, remembered as long as it lives."""
    return _words.get(tokenizer) or _words.setdefault(tokenizer, Words(tokenizer))


def _split(text: str) -> list[str]:
    return text.split(" ") if text.isascii() else BETWEEN.split(text)


def _tokenized_by(tokenizer) -> Callable[[list[str]], Iterator[tuple[str, Read]]]:
    """words -> (word, its tokens). The function must not hold `tokenizer` itself, which would then live for ever."""
    of_hugging_face = tokenizer.tokenizer
    backend = getattr(of_hugging_face, "backend_tokenizer", None)
    if backend is not None:
        return lambda words: _by_backend(backend, words)
    kept = slice(tokenizer.tokens_start, -1 if tokenizer.tokenizer_adds_end_token else None)
    return lambda words: _by_ids_alone(lambda word: of_hugging_face(word)["input_ids"][kept], words)


def _by_backend(backend, words: list[str]) -> Iterator[tuple[str, Read]]:
    """Words as one text where a space between them is a BETWEEN: a call for each takes twice as long."""
    joined = [word for word in words if "!" <= word[:1] <= "~" and "!" <= word[-1:] <= "~"]
    alone = set(words).difference(joined)
    texts = [joined, *([word] for word in alone)]
    # Unlike `encode`, this lets other threads run.
    encodings = backend.encode_batch([" ".join(text) for text in texts], add_special_tokens=False)
    for text, encoding in zip(texts, encodings, strict=True):
        yield from _apart(text, encoding)


def _apart(words: list[str], encoding) -> Iterator[tuple[str, Read]]:
    """The tokens of words that were tokenized with a space between each two."""
    text, begins = " ".join(words), _begins(words)
    offsets = encoding.offsets  # a new list each time
    starts: Sequence[int] = [start for start, _ in offsets]
    ends: Sequence[int] = [max(start + 1, end) for start, end in offsets]
    if not text.isascii():
        ends = _with_signs(text, ends)
    firsts = [bisect_left(starts, begin) for begin in begins]
    counts = (last - first for first, last in pairwise(firsts))
    origins = list(chain.from_iterable(map(repeat, begins, counts)))
    ids, starts, ends = tuple(encoding.ids), tuple(map(sub, starts, origins)), tuple(map(sub, ends, origins))
    for word, (first, last) in zip(words, pairwise(firsts), strict=True):
        yield word, (ids[first:last], starts[first:last], ends[first:last])


def _begins(words: list[str], first: int = 0) -> list[int]:
    """Where words begin that stand with a space between each two, and where another one would."""
    return list(accumulate(map(len, words), lambda begin, length: begin + length + 1, initial=first))


def _with_signs(text: str, ends: Iterable[int]) -> list[int]:
    """The ends of tokens, each with the signs that belong to its last character: accents, joiners.

    Many tokens may end in one run of signs, which is looked through once.
    """
    moved, first, last = [], 0, 0  # from where to where the latest run of signs goes
    for end in ends:
        if not first <= end < last:
            first = last = end
            while last < len(text) and belongs(text[last]):
                last += 1
        moved.append(last)
    return moved


def _together(words: list[str], read: list[Read], begin: int) -> Tokens:
    """The tokens of words that stand with a space between each two."""
    ids, starts, ends = zip(*read, strict=True)
    begins = _begins(words, begin)[:-1]
    return Tokens(
        list(chain.from_iterable(ids)),
        [begin + start for begin, each in zip(begins, starts, strict=True) for start in each],
        [begin + end for begin, each in zip(begins, ends, strict=True) for end in each],
    )


def _by_ids_alone(ids_of: Callable[[str], list[int]], words: list[str]) -> Iterator[tuple[str, Read]]:
    """By a tokenizer that tells no places, as those written in Python: each token stands for its whole word."""
    for word in words:
        ids = ids_of(word)
        yield word, (ids, [0] * len(ids), [len(word)] * len(ids))
