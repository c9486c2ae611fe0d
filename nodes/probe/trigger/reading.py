"""Trigger Test's reading: the verdict, and all numbers as JSON and table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..percent import percent
from ..repainted import NOTHING_REPAINTED, repainted_sentence
from .effects import (
    BOTH,
    CLIP,
    FLOOR,
    LEVEL,
    NEITHER,
    PLACES,
    T5,
    VELOCITY,
    WITH,
    Estimate,
    Squares,
    interaction,
    lora_at,
    main_lora,
    main_word,
    ratio,
    word_at,
)

# Of the LoRA's effect with the word in both prompts: below ASLEEP it sleeps, above AWAKE it is awake.
ASLEEP, AWAKE = 1 / 3, 2 / 3
ALONE = 0.1  # of the word's own effect: a LoRA that changes less, with the word and without it, adds nothing to it
TURNED = 0.5  # of the LoRA's effect: an interaction that is worth a sentence although the LoRA is always on
CLEAR = 2.0  # times the floor: what an effect exceeds that is more than rounding
TINY = 1e-9  # relative to the velocity: smaller effects are rounding
NAMES = {NEITHER: "neither prompt", CLIP: "the CLIP prompt", T5: "the T5 prompt", BOTH: "both prompts"}
# Verdicts.
NOTHING, WORD_ALONE, SLEEPS, HALF, ALWAYS = "does nothing", "the word alone did it", "sleeps", "half awake", "always on"


@dataclass(frozen=True)
class TriggerReading:
    """All squared lengths by seed and moment, and what they were measured with.

    `texts` are (CLIP prompt, T5 prompt) by the word's place; `runs` and `evaluations` are the cost.
    """

    file: str
    strength: float
    word: str
    texts: Mapping[str, tuple[str, str]]
    seeds: Sequence[int]
    sigmas: Sequence[float]
    squares: Sequence[Sequence[Squares]]  # [seeds][moments]
    steps: int
    runs: int
    evaluations: int
    repainted: float | None = None

    def size(self, name: str, of: str = VELOCITY) -> Estimate:
        return ratio(self.squares, name, of)

    def size_at(self, moment: int, name: str) -> float:
        """At one moment, over all seeds."""
        return ratio([[each[moment]] for each in self.squares], name).value

    @cached_property
    def awake(self) -> dict[str, Estimate]:
        """The LoRA's effect with the word at each place, relative to that with the word in both prompts."""
        return {place: self.size(lora_at(place), lora_at(BOTH)) for place in PLACES}

    def is_clear(self, name: str) -> bool:
        return self.size(name).value > max(CLEAR * self.size(FLOOR).value, TINY)

    @cached_property
    def verdict(self) -> str:
        if not any(self.is_clear(lora_at(place)) for place in PLACES):
            return NOTHING
        most = max(self.size(lora_at(place)).value for place in PLACES)
        if most < ALONE * self.size(word_at(BOTH)).value:
            return WORD_ALONE
        if self.awake[NEITHER].value < ASLEEP:
            return SLEEPS
        return ALWAYS if self.awake[NEITHER].value > AWAKE else HALF

    @cached_property
    def through(self) -> dict[str, bool | None]:
        """For each prompt alone: whether the word wakes the LoRA through it, None for partly."""
        return {place: True if value > AWAKE else False if value < ASLEEP else None
                for place in (CLIP, T5) for value in [self.awake[place].value]}  # fmt: skip


# ---- in words


def sentence(reading: TriggerReading) -> str:
    where = repainted_sentence(None if reading.repainted is None else [reading.repainted])
    if where == NOTHING_REPAINTED:
        return f"{where} {cost(reading)}"
    told = {
        NOTHING: [_nothing], WORD_ALONE: [_word_alone], SLEEPS: [_sleeps, _woken, _word, _unsure],
        HALF: [_half, _woken, _word, _unsure], ALWAYS: [_always, _turned, _word, _unsure],
    }[reading.verdict]  # fmt: skip
    return " ".join(filter(None, [*(each(reading) for each in told), where, cost(reading)]))


def _change(reading: TriggerReading, name: str) -> str:
    estimate = reading.size(name)
    return f"{percent(estimate.value)}{_range(estimate)}"


def _range(estimate: Estimate) -> str:
    if estimate.interval is None:
        return ""
    return f" ({percent(estimate.interval[0])[:-2]} to {percent(estimate.interval[1])[:-2]})"


def _nothing(reading: TriggerReading) -> str:
    floor = reading.size(FLOOR).value
    return (
        f"{reading.file} has no effect here: with and without '{reading.word}' it changes the velocity no more than "
        f"repeating the same evaluation does ({percent(floor)})."
    )


def _word_alone(reading: TriggerReading) -> str:
    return (
        f"The word alone causes the change: without the LoRA, '{reading.word}' in both prompts changes the velocity by "
        f"{_change(reading, word_at(BOTH))}. {reading.file} adds only {_change(reading, lora_at(BOTH))} with the word "
        f"and {_change(reading, lora_at(NEITHER))} without it."
    )


def _two(reading: TriggerReading) -> str:
    return (
        f"it changes the velocity by {_change(reading, lora_at(NEITHER))} without the word, and by "
        f"{_change(reading, lora_at(BOTH))} with the word in both prompts"
    )


def _sleeps(reading: TriggerReading) -> str:
    return f"{reading.file} is inactive without '{reading.word}': {_two(reading)}."


def _half(reading: TriggerReading) -> str:
    share = percent(reading.awake[NEITHER].value)
    return (
        f"{reading.file} is partly active without '{reading.word}': {_two(reading)}. {share} of its effect is always "
        "present."
    )


def _always(reading: TriggerReading) -> str:
    return f"{reading.file} is always active, '{reading.word}' is not its trigger: {_two(reading)}."


def _turned(reading: TriggerReading) -> str:
    share = reading.size(interaction(BOTH), lora_at(BOTH)).value
    if share < TURNED:
        return ""
    return f"But the word changes what the LoRA does: the interaction is {percent(share)} of its effect."


def _woken(reading: TriggerReading) -> str:
    """In which prompt the word activates the LoRA."""
    clip, t5 = (f"{NAMES[place]} ({percent(reading.awake[place].value)} of the full effect)" for place in (CLIP, T5))
    by_clip, by_t5 = reading.through[CLIP], reading.through[T5]
    if by_clip and by_t5:
        return f"The word in either prompt is enough to activate it: {clip}, {t5}."
    if by_clip or by_t5:
        one, other, partly = (clip, t5, by_t5 is None) if by_clip else (t5, clip, by_clip is None)
        return f"The word activates it in {one}, {'partly' if partly else 'but not'} in {other}."
    if by_clip is False and by_t5 is False:
        return f"The word activates it only in both prompts together: {clip} or {t5} alone is not enough."
    return f"The word in one prompt activates it only partly: {clip}, {t5}."


def _word(reading: TriggerReading) -> str:
    """The word's own effect, where it is the larger one."""
    if reading.size(word_at(BOTH)).value <= reading.size(lora_at(BOTH)).value:
        return ""
    return f"The word itself changes more: {_change(reading, word_at(BOTH))} without the LoRA."


def _unsure(reading: TriggerReading) -> str:
    """Shares whose interval crosses the level that decided."""
    crossing = [(ASLEEP if value.value < (ASLEEP + AWAKE) / 2 else AWAKE, place, value)
                for place, value in reading.awake.items() if place != BOTH]  # fmt: skip
    doubts = [(place, value) for level, place, value in crossing if not value.is_sure(level)]
    if reading.verdict == ALWAYS:
        doubts = [each for each in doubts if each[0] == NEITHER]
    if not doubts:
        return "" if len(reading.seeds) > 2 else "Use three or more seeds to see how certain this is."
    named = "; ".join(f"in {NAMES[place]}: {_range(value).strip(' ()')} %" for place, value in doubts)
    return f"Not certain with {len(reading.seeds)} seeds. Share of the full effect with the word {named}."


def cost(reading: TriggerReading) -> str:
    runs = "1 run" if reading.runs == 1 else f"{reading.runs} runs"
    return f"Cost: {runs} of {reading.steps} steps, plus {reading.evaluations} model evaluations."


# ---- as a table and as JSON


def table(reading: TriggerReading) -> str:
    """Markdown: a row for each place of the word."""
    head = ["word in", "LoRA's effect", "of the full effect", "word's effect", "interaction"]
    rows = []
    for place in PLACES:
        own = ["", ""] if place == NEITHER else [_change(reading, each(place)) for each in (word_at, interaction)]
        rows.append([NAMES[place], _change(reading, lora_at(place)), percent(reading.awake[place].value), *own])
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def as_json(reading: TriggerReading, text: str, settings: dict[str, Any]) -> dict[str, Any]:
    names = [*(lora_at(place) for place in PLACES)]
    names += [each(place) for place in WITH for each in (word_at, main_lora, main_word, interaction)]
    return {
        "sentence": text,
        "verdict": reading.verdict,
        "woken through": {place: {True: "yes", False: "no", None: "partly"}[value]
                          for place, value in reading.through.items()},
        "awake": {place: _numbers(value) for place, value in reading.awake.items()},
        "effects": {name: _numbers(reading.size(name)) for name in names},
        "the same again": reading.size(FLOOR).value,
        "steps": [{"sigma": sigma, **{name: reading.size_at(at, name) for name in names}}
                  for at, sigma in enumerate(reading.sigmas)],
        "level": LEVEL,
        "thresholds": {"asleep below": ASLEEP, "awake above": AWAKE, "the word alone below": ALONE},
        "file": reading.file, "strength": reading.strength, "word": reading.word,
        "prompts": {place: list(texts) for place, texts in reading.texts.items()},
        "seeds": list(reading.seeds),
        "cost": {"runs": reading.runs, "steps": reading.steps, "evaluations": reading.evaluations},
        "repainted": reading.repainted,
        "settings": settings,
    }  # fmt: skip


def _numbers(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "interval": None if estimate.interval is None else list(estimate.interval)}
