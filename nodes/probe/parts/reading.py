"""LoRA Influence's reading, as JSON, table and sentence. Pure torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...lora.parts import IMAGE, JOINT, TITLES
from ..lora.reading import IN_WORDS
from ..percent import percent
from ..repainted import NOTHING_REPAINTED, repainted_sentence
from .effects import MOST, Numbers, PartEffects, is_exact, pooled, sets_of

CLEAR = 2.0  # times the floor: what a whole effect exceeds that is more than rounding
NOTHING = 1e-9  # relative to the velocity: smaller effects are rounding
SMALL = 0.005  # shares below it are not named in the sentence
TOGETHER = 0.25  # of the whole effect: an interaction that is worth a sentence


@dataclass(frozen=True, eq=False)
class Measured:
    """The effects at one step of the run."""

    step: int
    sigma: float
    effects: PartEffects


@dataclass(frozen=True, eq=False)
class PartsReading:
    """A LoRA's effects by part, at moments of a run of `steps` steps.

    `evaluations` were needed beside the run's. `repainted` is the repainted share of each picture, None without a mask.
    """

    file: str
    strength: float
    parts: Sequence[str]
    moments: Sequence[Measured]
    steps: int
    evaluations: int
    repainted: Sequence[float] | None = None

    @property
    def exact(self) -> bool:
        return is_exact(self.parts)

    @cached_property
    def whole(self) -> Numbers:
        return pooled([each.effects for each in self.moments])

    @cached_property
    def by_moment(self) -> list[Numbers]:
        return [pooled([each.effects]) for each in self.moments]

    def is_clear(self, numbers: Numbers) -> bool:
        """Whether the effect is more than rounding."""
        return numbers.shares is not None and numbers.whole > max(CLEAR * numbers.floor, NOTHING)

    def ranked(self, numbers: Numbers) -> list[int]:
        """The parts' numbers, the largest share first."""
        return sorted(range(len(self.parts)), key=lambda at: -numbers.shares[at])


# ---- as a sentence


def sentence(reading: PartsReading) -> str:
    """Through which parts it acts, how much, where another leads, whether parts need each other, and the cost."""
    if (where := repainted_sentence(reading.repainted)) == NOTHING_REPAINTED:
        return f"{where} {cost(reading)}"
    if not reading.is_clear(reading.whole):
        text = (
            f"{reading.file} changes the velocity by {_tiny(reading.whole.whole)}. That is no more than repeating the "
            f"same evaluation does ({_tiny(reading.whole.floor)}), so its parts cannot be compared."
        )
        return " ".join(filter(None, [text, where, cost(reading)]))
    told = [_through(reading), _size(reading), _other_leads(reading), _leader(reading), _interaction(reading)]
    return " ".join(filter(None, [*told, where, _method(reading), cost(reading)]))


def _through(reading: PartsReading) -> str:
    shares = reading.whole.shares
    if len(reading.parts) == 1:
        return f"The whole effect of {reading.file} comes from {IN_WORDS[reading.parts[0]]}, the only part it changes."
    first, *others = reading.ranked(reading.whole)
    named = [f"{percent(shares[at])} from {IN_WORDS[reading.parts[at]]}" for at in others if shares[at] > SMALL]
    little = [IN_WORDS[reading.parts[at]] for at in others if abs(shares[at]) <= SMALL]
    against = [at for at in others if shares[at] < -SMALL]
    text = f"{percent(shares[first])} of the effect of {reading.file} comes from {IN_WORDS[reading.parts[first]]}"
    text = ", ".join([f"{text}{_between(reading, first)}", *named])
    if little:
        text += f", almost nothing from {_listed(little)}"
    for at in against:
        verb = "work" if reading.parts[at] in (IMAGE, JOINT) else "works"
        text += f"; {IN_WORDS[reading.parts[at]]} {verb} against the other parts ({percent(shares[at])})"
    return f"{text}."


def _between(reading: PartsReading, part: int) -> str:
    """The part's share at the first and the last measured step."""
    ends = [reading.by_moment[0], reading.by_moment[-1]]
    if len(reading.moments) < 2 or not all(map(reading.is_clear, ends)):
        return ""
    first, last = (percent(each.shares[part]) for each in ends)
    return f" ({first} at sigma {reading.moments[0].sigma:.2f}, {last} at {reading.moments[-1].sigma:.2f})"


def _size(reading: PartsReading) -> str:
    sizes = [numbers.whole for numbers in reading.by_moment]
    text = f"The LoRA changes the velocity by {percent(reading.whole.whole)}"
    if len(sizes) < 2:
        return f"{text} at sigma {reading.moments[0].sigma:.2f}."
    most = max(range(len(sizes)), key=sizes.__getitem__)
    return f"{text}, most at sigma {reading.moments[most].sigma:.2f} ({percent(sizes[most])})."


def _other_leads(reading: PartsReading) -> str:
    """The moments where another part leads, the first one's share as an example."""
    lead = reading.ranked(reading.whole)[0]
    for moment, numbers in zip(reading.moments, reading.by_moment, strict=True):
        if reading.is_clear(numbers) and (first := reading.ranked(numbers)[0]) != lead:
            part = IN_WORDS[reading.parts[first]]
            return f"At sigma {moment.sigma:.2f}, {percent(numbers.shares[first])} comes from {part}."
    return ""


def _leader(reading: PartsReading) -> str:
    if len(reading.parts) == 1:
        return ""
    lead, numbers = reading.ranked(reading.whole)[0], reading.whole
    name = IN_WORDS[reading.parts[lead]]
    return (
        f"Using only {name} changes the velocity by {percent(numbers.alone[lead])}; removing only {name} changes it "
        f"by {percent(numbers.left_out[lead])}."
    )


def _interaction(reading: PartsReading) -> str:
    if len(reading.parts) == 1 or reading.whole.together < TOGETHER * reading.whole.whole:
        return ""
    share = reading.whole.together / reading.whole.whole
    return f"The parts interact: the sum of their separate effects differs from the whole effect by {percent(share)}."


def _method(reading: PartsReading) -> str:
    if len(reading.parts) == 1:
        return ""
    if reading.exact:
        return (
            f"The shares are Shapley values over all {2 ** len(reading.parts)} combinations of its "
            f"{len(reading.parts)} parts."
        )
    return (
        f"With more than {MOST} parts, a share is estimated as the mean of using only that part and removing only that "
        "part, so the shares may not add up to 100 %."
    )


def cost(reading: PartsReading) -> str:
    return (
        f"Cost: a run of {reading.steps} steps, plus {reading.evaluations} model evaluations "
        f"({len(sets_of(reading.parts)) + 1} variants at {len(reading.moments)} "
        f"{'step' if len(reading.moments) == 1 else 'steps'})."
    )


def _tiny(share: float) -> str:
    return "0 %" if share <= NOTHING else "less than 0.01 %" if share < 1e-4 else percent(share)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


# ---- as a table and as JSON


def table(reading: PartsReading) -> str:
    """Markdown: a row for each part, and for the whole."""
    head = ["part", "share", "alone", "removed"]
    rows = [[TITLES[part], _share(reading.whole, at), percent(reading.whole.alone[at]),
             percent(reading.whole.left_out[at])] for at, part in enumerate(reading.parts)]  # fmt: skip
    rows.append(["all", "", percent(reading.whole.whole), percent(reading.whole.whole)])
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def _share(numbers: Numbers, at: int) -> str:
    return "" if numbers.shares is None else percent(numbers.shares[at])


def as_json(reading: PartsReading, text: str, settings: dict[str, Any]) -> dict[str, Any]:
    shares = "Shapley values" if reading.exact else "means of alone and left out"
    moments = [
        {"step": moment.step, "sigma": moment.sigma, **_numbers(reading, numbers)}
        for moment, numbers in zip(reading.moments, reading.by_moment, strict=True)
    ]
    return {
        "sentence": text,
        "file": reading.file,
        "strength": reading.strength,
        "shares are": shares,
        "all steps": _numbers(reading, reading.whole),
        "steps": moments,
        "evaluations": {"run": reading.steps, "extra": reading.evaluations},
        "repainted": None if reading.repainted is None else list(reading.repainted),
        "settings": settings,
    }


def _numbers(reading: PartsReading, numbers: Numbers) -> dict[str, Any]:
    parts = {
        part: {"share": None if numbers.shares is None else numbers.shares[at], "alone": numbers.alone[at],
               "left out": numbers.left_out[at], "own": numbers.own[at]}
        for at, part in enumerate(reading.parts)
    }  # fmt: skip
    return {"whole": numbers.whole, "interaction": numbers.together, "the same again": numbers.floor, "parts": parts}
