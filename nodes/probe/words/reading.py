"""What Word Ablation has found, in numbers and in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from ..percent import percent
from ..repainted import NOTHING, told

CLIP, T5 = "CLIP", "T5"


@dataclass(frozen=True)
class WordEffect:
    """One word's effects at each level of noise, relative to |v|: the velocity's change where the word is left out.

    `deleted`: without its rows. `encoded`: the text encoded again without it. `leaked`: from the one to the other, so
    what of the word stands in other words' rows. CLIP has one vector for all words, so there is `encoded` alone.
    """

    stream: str
    word: str
    start: int
    tokens: int
    encoded: tuple[float, ...]
    deleted: tuple[float, ...] = ()
    leaked: tuple[float, ...] = ()


@dataclass(frozen=True)
class WordReading:
    """`sigmas` are the run's levels that were measured at; `rows` went through the model, plain ones and anew."""

    found: Sequence[WordEffect]
    steps: Sequence[int]
    sigmas: Sequence[float]
    rows: tuple[int, int]
    settings: Mapping[str, Any] | None = None  # what the run is repeated by
    control: tuple[float, ...] = ()  # at each level, what deleting T5's last row changes: a pad's, of no word
    repainted: tuple[float, ...] | None = None  # at each level, how much of the picture; None without a mask

    @property
    def times(self) -> float:
        return sum(self.rows) / max(self.rows[0], 1)


def as_json(reading: WordReading, told: str) -> dict[str, Any]:
    return {
        "sentence": told,
        "settings": reading.settings,
        "steps": list(reading.steps),
        "sigmas": list(reading.sigmas),
        "repainted": reading.repainted and list(reading.repainted),
        "control": {"what": "T5's last row deleted", "rows deleted": list(reading.control)},
        "cost": {"plain": reading.rows[0], "extra": reading.rows[1], "times": reading.times},
        "words": [
            {"road": each.stream, "word": each.word, "start": each.start, "tokens": each.tokens,
             "encoded again": list(each.encoded),
             **({"rows deleted": list(each.deleted), "leaked": list(each.leaked)} if each.deleted else {})}
            for each in reading.found
        ],
    }  # fmt: skip


def sentence(reading: WordReading) -> str:
    """Which word of each stream matters most, and how much of the words stands in others' rows."""
    cost = f"measured with {reading.times:.3g} times the evaluations of the plain run."
    if (where := told(reading.repainted)) == NOTHING:
        return f"{where} M{cost[1:]}"
    said = [most for stream in (T5, CLIP) if (most := _most(reading, stream))]
    of_t5 = [each for each in reading.found if each.stream == T5]
    if of_t5:
        rows, leaked = (mean(mean(getattr(each, name)) for each in of_t5) for name in ("deleted", "leaked"))
        said.append(
            f"A T5 word's own rows are worth {percent(rows)} on average, and what the others' rows have taken from it "
            f"{percent(leaked)}."
        )
    if reading.control:
        said.append(_control(reading, of_t5))
    levels = ", ".join(f"{sigma:.2f}" for sigma in reading.sigmas)
    said += [where, f"Means over sigma {levels}; {cost}"]
    return " ".join(filter(None, said))


def _control(reading: WordReading, of_t5: Sequence[WordEffect]) -> str:
    """What deleting any row changes, and which words do no more than that."""
    level = mean(reading.control)
    idle = [f"'{each.word}'" for each in of_t5 if mean(each.encoded) <= level and mean(each.deleted) <= level]
    more = f" {', '.join(idle)}: no more than that." if idle else ""
    return f"Deleting a row of no word, T5's last, changes {percent(level)}.{more}"


def _most(reading: WordReading, stream: str) -> str:
    words = [each for each in reading.found if each.stream == stream]
    if not words:
        return ""
    first = max(words, key=lambda each: mean(each.encoded))
    if not mean(first.encoded):
        return f"No word of {stream}'s prompt changes anything."
    return f"Of {stream}'s words '{first.word}' changes the velocity most: by {percent(mean(first.encoded))}."
