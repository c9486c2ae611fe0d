"""A trigger word: its tokens, the captions without it, and the words that stand beside it in most. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .measure import Count, Measured, Tokenizers, unknown_to_t5, written

MOST = 20  # triggers
FEWEST = 3  # captions with the trigger: of fewer every word would stand in most
LEAST = 0.5  # of the captions with the trigger that have a word beside it
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_PLAIN = "[0-9A-Za-z_]"
_STOP_WORDS = """
a about above after against all along also am among an and any are around as at away back be because been before behind
being below beneath beside between both but by can could did do does down each either for from further had has have
having he her here hers him his how i if in inside into is it its itself just like may me more most my near no nor not
of off on once one only onto or other our out outside over own past she should so some such than that the their them
then there these they this those through to too toward towards under until up upon very was we were what when where
which while who whom whose why will with within without would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True)
class Trigger:
    """A trigger, and names of captions: without it, with it in other letters ("Ohwx"), past what CLIP or T5 reads."""

    text: str
    clip: tuple[str, ...]  # its tokens
    t5: tuple[str, ...]
    unknown: tuple[str, ...]  # its parts that T5 has no token for
    found: int  # captions with it, in whatever letters
    missing: tuple[str, ...]
    other_letters: tuple[str, ...]
    past_clip: tuple[str, ...]
    past_t5: tuple[str, ...]
    beside: tuple[tuple[str, float], ...]  # words, and the share of the captions with the trigger that have them


def listed(text: str) -> list[str]:
    """The triggers of a list with commas or lines, at most MOST."""
    given = (" ".join(each.split()) for each in re.split(r"[,\n]", text))
    return list(dict.fromkeys(each for each in given if each))[:MOST]


def read(text: str, captions: Sequence[Measured], tokenizers: Tokenizers) -> Trigger:
    sign, holding = _sign(text), []
    missing, other, past_clip, past_t5 = [], [], [], []
    for each in captions:
        first = sign.search(each.caption.text)
        if first is None:
            missing.append(each.caption.name)
            continue
        holding.append(each.caption.text)
        if " ".join(first[0].split()) != text and text not in each.caption.text:
            other.append(each.caption.name)
        past_clip += [each.caption.name] * _past(first, each.clip)
        past_t5 += [each.caption.name] * _past(first, each.t5)
    pieces = written(tokenizers.clip_l, text), written(tokenizers.t5, text), unknown_to_t5(tokenizers.t5, text)
    return Trigger(text, *pieces, len(holding), tuple(missing), tuple(other), tuple(past_clip), tuple(past_t5),
                   tuple(_beside(sign, text, holding)))  # fmt: skip


def _sign(text: str) -> re.Pattern:
    """Finds the trigger as a word by itself, in whatever letters and white space."""
    before = f"(?<!{_PLAIN})" if re.match(_PLAIN, text) else ""
    after = f"(?!{_PLAIN})" if re.match(_PLAIN, text[-1]) else ""
    return re.compile(before + r"\s+".join(map(re.escape, text.split())) + after, re.IGNORECASE)


def _past(first: re.Match, count: Count) -> bool:
    """Whether an encoder does not read the whole of the first trigger."""
    return count.cut is not None and first.end() > count.cut


def _beside(sign: re.Pattern, trigger: str, texts: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Words in at least LEAST of the texts, the most frequent first."""
    if len(texts) < FEWEST:
        return
    own = set(words(trigger)) | STOP_WORDS
    counts = Counter(word for text in texts for word in set(words(sign.sub(" ", text))) - own)
    for word, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
        if count < LEAST * len(texts):
            return
        yield word, count / len(texts)


def words(text: str) -> list[str]:
    """A text's words in small letters, without numbers."""
    return _WORD.findall(text.lower())
