"""Encoder Influence's reading of a run, and its numbers as CSV and JSON. Pure torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import modulation
from .choices import PARTS
from .effects import Effects, Numbers, of_picture, pooled


@dataclass(frozen=True, eq=False)
class StepReading:
    """The reading of one step. `effects` by the null's name; `modulation` is modulation.parts, None if unknown.

    `floor` [B] is how much the velocity changes when the same prompt is evaluated again in the variants' batch: smaller
    effects are rounding noise. None if there were no extra evaluations. `repainted` [B] is the repainted share of each
    picture at this step; None for a run without a mask.
    """

    step: int
    sigma: float
    percent: float
    effects: Mapping[str, Effects]
    modulation: Tensor | None = None
    floor: Tensor | None = None
    repainted: Tensor | None = None


@dataclass(frozen=True, eq=False)
class InfluenceReading:
    """The reading of a run of `steps` steps. `rows` are (plain, extra) batch rows that went through the model.

    `counted` is the number of txt rows taken as the T5 prompt if some of them may be of another source (Redux), else 0.
    `lengths` are the rows of the T5 prompt and of the empty one, None if they are equal.
    """

    moments: Sequence[StepReading]
    steps: int
    every: int
    rows: tuple[int, int]
    kinds: tuple[str, ...] = ()
    counted: int = 0
    lengths: tuple[int, int] | None = None

    @property
    def nulls(self) -> list[str]:
        return list(self.moments[0].effects)

    @property
    def times(self) -> float:
        """Cost of the run, as a multiple of the plain run's."""
        return sum(self.rows) / max(self.rows[0], 1)

    @property
    def repainted(self) -> list[float] | None:
        """The repainted share of each picture, the mean over the steps measured; None for a run without a mask."""
        shares = [each.repainted for each in self.moments if each.repainted is not None]
        return torch.stack(shares).mean(0).tolist() if shares else None

    def part(self, name: str) -> list[StepReading]:
        """The measured steps of a part of the run (PARTS); may be empty."""
        number = PARTS.index(name) - 1
        return [each for each in self.moments if number < 0 or 3 * each.step // self.steps == number]

    def steps_of(self, name: str) -> int:
        """The number of the run's steps in this part."""
        number = PARTS.index(name) - 1
        return sum(1 for step in range(self.steps) if number < 0 or 3 * step // self.steps == number)

    def numbers(self, name: str, null: str) -> Numbers | None:
        """Pooled numbers of a part of the run; None if none of its steps was measured."""
        moments = self.part(name)
        return pooled([each.effects[null] for each in moments]) if moments else None

    def floor(self, name: str) -> float | None:
        """The noise floor of a part of the run, relative to the velocity; None if not measured."""
        return floor(self.part(name))

    def modulation(self) -> dict[str, dict[str, float]] | None:
        """Shares of time, guidance and CLIP by the kind of block, over the whole run."""
        parts = [each.modulation for each in self.moments if each.modulation is not None]
        return modulation.shares(parts, self.kinds) if parts else None


def floor(moments: Sequence[StepReading]) -> float | None:
    """The noise floor over several steps and all their pictures, pooled as effects.pooled; None if not measured."""
    measured = [each for each in moments if each.floor is not None]
    if not measured:
        return None
    squares = sum(float(each.floor.double().square().sum()) for each in measured)
    whole = sum(float(next(iter(each.effects.values())).norms[0].double().square().sum()) for each in measured)
    return (squares / whole) ** 0.5 if whole else 0.0


def table(reading: InfluenceReading) -> list[dict[str, Any]]:
    """A row for each step and null."""
    return [
        {"null": null, "step": each.step, "percent": round(each.percent, 3), "sigma": each.sigma,
         **pooled([each.effects[null]]), "floor": floor([each]), **_repainted(each)}
        for null in reading.nulls for each in reading.moments
    ]  # fmt: skip


def csv(reading: InfluenceReading) -> str:
    """The table with a header line; None is an empty cell."""
    rows = table(reading)
    lines = [[*rows[0]], *(["" if value is None else f"{value}" for value in row.values()] for row in rows)]
    return "\n".join(",".join(line) for line in lines) + "\n"


def as_json(reading: InfluenceReading, text: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything but the maps. Norms are relative to the velocity with both prompts, |v11|; shares add up to 1.

    `text` is the summary sentence, `settings` those of the run (run_settings.of_run). `repainted` is the repainted
    share of each picture, null without a mask.
    """
    pictures = next(iter(reading.moments[0].effects.values())).norms.shape[1]
    alone = [
        {null: pooled([of_picture(each.effects[null], at) for each in reading.moments]) for null in reading.nulls}
        for at in range(pictures)
    ]
    return {
        "sentence": text,
        "settings": settings,
        "steps": reading.steps,
        "every": reading.every,
        "t5_rows": reading.counted or None,
        "repainted": reading.repainted,
        "t5_lengths": None if reading.lengths is None else dict(zip(("prompt", "empty"), reading.lengths, strict=True)),
        "cost": {"plain": reading.rows[0], "extra": reading.rows[1], "times": reading.times},
        "floor": {name: reading.floor(name) for name in PARTS},
        "parts": {name: {null: reading.numbers(name, null) for null in reading.nulls} for name in PARTS},
        "pictures": alone,
        "per_step": table(reading),
        "modulation": {"reference": "zeros", "clip_prompt_against": reading.nulls[0], "shares": reading.modulation()},
    }


def columns(reading: InfluenceReading, text: str) -> dict[str, Any]:
    """The curves for the front end: a list for each column of the table, rounded; `text` is the summary sentence."""
    moments = reading.moments
    rows = {null: [{**pooled([each.effects[null]]), **_floor(each)} for each in moments] for null in reading.nulls}
    return {
        "sentence": text,
        "step": [each.step for each in moments],
        "sigma": [_short(each.sigma) for each in moments],
        "percent": [round(each.percent, 1) for each in moments],
        "nulls": {null: {name: [_short(row[name]) for row in its] for name in its[0]} for null, its in rows.items()},
    }


def _floor(moment: StepReading) -> Numbers:
    return {} if moment.floor is None else {"floor": floor([moment])}


def _repainted(moment: StepReading) -> Numbers:
    return {} if moment.repainted is None else {"repainted": float(moment.repainted.mean())}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
