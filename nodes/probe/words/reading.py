"""Word Ablation's reading, as JSON and as sentences. Pure torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from torch import Tensor

from ..percent import percent
from ..repainted import NOTHING_REPAINTED, repainted_sentence

CLIP, T5 = "CLIP", "T5"


@dataclass(frozen=True)
class WordEffect:
    """The change of the velocity, relative to |v|, at each noise level when one word is left out.

    `deleted`: the word's rows are deleted. `encoded`: the text is encoded again without it. `leaked`: the difference
    between these two, the word's effect through other words' rows. CLIP has one vector, so it has only `encoded`.
    `start` is the word's first character, `tokens` the number of its tokens.
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
    """The steps and sigmas measured at, and the (plain, extra) batch rows that went through the model.

    `maps` [B, words, h, w] are the velocity's squared changes at each image token, with each text encoded again: means
    over the levels. `latent` is the finished LATENT.
    """

    found: Sequence[WordEffect]
    steps: Sequence[int]
    sigmas: Sequence[float]
    rows: tuple[int, int]
    settings: Mapping[str, Any] | None = None  # run_settings.of_run
    control: tuple[float, ...] = ()  # at each level, the change by deleting T5's last row, a pad
    repainted: tuple[float, ...] | None = None  # at each level, the repainted share of the picture; None without a mask
    maps: Tensor | None = None
    latent: dict | None = None

    @property
    def times(self) -> float:
        return sum(self.rows) / max(self.rows[0], 1)


def as_json(reading: WordReading, text: str) -> dict[str, Any]:
    """All numbers; `text` is the summary sentence."""
    return {
        "sentence": text,
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
    """The word of each prompt with the largest effect, how much of it is in other words' rows, and the cost."""
    cost = f"The run took {reading.times:.3g} times the evaluations of a plain run."
    if (where := repainted_sentence(reading.repainted)) == NOTHING_REPAINTED:
        return f"{where} {cost}"
    sentences = [most for stream in (T5, CLIP) if (most := _most(reading, stream))]
    of_t5 = [each for each in reading.found if each.stream == T5]
    if of_t5:
        rows, leaked = (mean(mean(getattr(each, name)) for each in of_t5) for name in ("deleted", "leaked"))
        sentences.append(
            f"On average a T5 word changes the velocity by {percent(rows)} through its own tokens, and by "
            f"{percent(leaked)} through the tokens of other words."
        )
    if reading.control:
        sentences.append(_control(reading, of_t5))
    levels = ", ".join(f"{sigma:.2f}" for sigma in reading.sigmas)
    sentences += [where, f"Means over sigma {levels}. {cost}"]
    return " ".join(filter(None, sentences))


def _control(reading: WordReading, of_t5: Sequence[WordEffect]) -> str:
    """The effect of deleting a row of no word, and the T5 words whose effect is no larger."""
    level = mean(reading.control)
    idle = [f"'{each.word}'" for each in of_t5 if mean(each.encoded) <= level and mean(each.deleted) <= level]
    more = f" Words with no larger effect: {', '.join(idle)}." if idle else ""
    return f"Deleting T5's last token, which belongs to no word, changes it by {percent(level)}.{more}"


def _most(reading: WordReading, stream: str) -> str:
    words = [each for each in reading.found if each.stream == stream]
    if not words:
        return ""
    first = max(words, key=lambda each: mean(each.encoded))
    if not mean(first.encoded):
        return f"No word of the {stream} prompt changes the velocity."
    return f"In the {stream} prompt '{first.word}' changes the velocity most: by {percent(mean(first.encoded))}."
