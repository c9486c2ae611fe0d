"""The whole check: captions measured, compared with each other, and searched for the triggers. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import triggers
from .choices import NAME
from .measure import Measured, Tokenizers, measured
from .read import Found
from .triggers import Trigger

_WEIGHT = re.compile(r"\([^()]*:\s*-?\d*\.?\d+\)")


@dataclass(frozen=True)
class Check:
    """All that was found. `captions` are in the order of the files, `same` are names of captions with one text."""

    where: str
    t5_length: int
    captions: Sequence[Measured]
    triggers: Sequence[Trigger]
    same: Sequence[tuple[str, ...]]
    differing: Sequence[str]  # pictures with two captions of different text
    found: Found

    @property
    def worst_first(self) -> list[Measured]:
        return sorted(self.captions, key=lambda each: (-each.clip.lost - each.t5.lost, -each.t5.tokens))

    @property
    def unknown(self) -> Counter:
        """Texts that T5 has no token for, by the number of captions."""
        return Counter(text for each in self.captions for text in each.t5.unknown)

    @property
    def several_lines(self) -> list[str]:
        return [each.caption.name for each in self.captions if each.caption.lines > 1]

    @property
    def weighted(self) -> list[str]:
        """Captions with what a prompt would have as a weight."""
        return [each.caption.name for each in self.captions if _WEIGHT.search(each.caption.text)]


def check(
    found: Found, where: str, trigger: str, tokenizers: Tokenizers, pause: Callable[[], None] = lambda: None
) -> Check:
    """Raises ValueError if there is no caption."""
    if not found.captions:
        faults = [*found.problems, *(f"{name}: it is empty." for name in found.empty)]
        first = " ".join(["", *faults[:3]]) + (f" And {len(faults) - 3} more problems." if len(faults) > 3 else "")
        raise ValueError(
            f"{NAME}: no captions in {where}. Expected .txt or .caption files, metadata.jsonl or CSV.{first}"
        )
    captions = measured(found.captions, tokenizers, pause)
    read = [triggers.read(text, captions, tokenizers) for text in triggers.listed(trigger)]
    same, differing = _compared(captions)
    return Check(where, tokenizers.t5_length, captions, read, same, differing, found)


def _compared(captions: Sequence[Measured]) -> tuple[list[tuple[str, ...]], list[str]]:
    """(names of captions that have one text for different pictures, pictures that have different texts)."""
    by_text: dict[str, dict[str, str]] = {}
    by_picture: dict[str, set[str]] = {}
    for each in captions:
        text = " ".join(each.caption.text.split())
        by_text.setdefault(text, {}).setdefault(each.caption.picture, each.caption.name)
        by_picture.setdefault(each.caption.picture, set()).add(text)
    same = [tuple(pictures.values()) for pictures in by_text.values() if len(pictures) > 1]
    return same, [picture for picture, texts in by_picture.items() if len(texts) > 1]
