"""Evaluates a model with and without a LoRA and a word, on the x_t of runs with neither. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...compat.memory import check_interrupted
from ...compat.previews import progress_bar
from ...keys import SAMPLES
from ...notice import show
from ...sample.sampling import SamplingPlan, sample
from .. import repainted
from ..at_moments import Run, sampled, spread, velocities
from ..with_lora import Subject
from .choices import NAME
from .effects import BOTH, CLIP, NEITHER, PLACES, T5, squares
from .reading import NAMES, TriggerReading
from .word import with_and_without

Cell = tuple[bool, str]  # (with the LoRA, the word's place)


@dataclass(frozen=True)
class Question:
    """The two prompts and the word; `instead` stands in its place where it is left out."""

    clip: str
    t5: str
    word: str
    instead: str = ""

    def __post_init__(self) -> None:
        if not self.word.strip():
            raise ValueError(f"{NAME}: `trigger` is empty. Enter the trigger word or words of the LoRA.")

    def texts(self) -> dict[str, tuple[str, str]]:
        """(CLIP prompt, T5 prompt) by the word's place."""
        clip, t5 = (with_and_without(each, self.word, self.instead) for each in (self.clip, self.t5))
        return {NEITHER: (clip[1], t5[1]), CLIP: (clip[0], t5[1]), T5: (clip[1], t5[0]), BOTH: (clip[0], t5[0])}


class _Bench:
    """The two models, the eight CONDITIONINGs, and the runs on whose x_t all are evaluated."""

    def __init__(self, subject: Subject, texts: Mapping[str, tuple[str, str]], latent: dict, plan: SamplingPlan):
        self.models = {on: subject.model_with(subject.parts if on else ()) for on in (False, True)}
        self.prompts = {(on, place): subject.encode(*texts[place], subject.parts if on else ())
                        for on in (False, True) for place in PLACES}  # fmt: skip
        self.latent, self.plan = latent, plan

    def runs(self, seeds: list[int], steps: list[int]) -> list[Run]:
        """One for each seed, without the LoRA and without the word."""
        found = []
        for number, seed in enumerate(seeds, 1):
            check_interrupted()
            show(f"run {number} of {len(seeds)}")
            plan = replace(self.plan, seed=seed)
            found.append(sampled(self.models[False], self.prompts[False, NEITHER], self.latent, plan, steps))
        return found

    def velocities(self, cell: Cell, run: Run) -> list[Tensor]:
        check_interrupted()
        return velocities(self.models[cell[0]], self.prompts[cell], run)

    def picture(self, cell: Cell) -> Tensor:
        check_interrupted()
        return sample(self.models[cell[0]], self.prompts[cell], None, self.latent, self.plan)[SAMPLES]


def measure(
    subject: Subject, question: Question, latent: dict, plan: SamplingPlan, seeds: list[int], count: int, draws: bool
) -> tuple[TriggerReading, Tensor | None]:
    """(the effects at `count` moments for each seed; with `draws` the first seed's latents [8, C, h, w], else None).

    The latents are without the LoRA, then with it, by the word's place. The LoRA's weights are put in place once. The
    plain model is evaluated before and after, so that nothing of the LoRA stays in place, and the second time is the
    noise floor.
    """
    _require_one(latent)
    bench, steps = _Bench(subject, question.texts(), latent, replace(plan, seed=seeds[0])), spread(plan.steps, count)
    runs = bench.runs(seeds, steps)
    cells: dict[Cell, Tensor] = {(False, NEITHER): runs[0].done[SAMPLES]}
    found: list[dict[Cell, list[Tensor]]] = [{} for _ in runs]
    bar = progress_bar(2 * len(PLACES))
    for on in (False, True):
        for place in PLACES:
            show(f"LoRA {'on' if on else 'off'}, word in {NAMES[place]}")
            for values, run in zip(found, runs, strict=True):
                values[on, place] = bench.velocities((on, place), run)
            if draws and (on, place) not in cells:
                cells[on, place] = bench.picture((on, place))
            bar.update(1)
    rows = []
    for values, run in zip(found, runs, strict=True):
        again = bench.velocities((False, NEITHER), run)
        rows.append([squares({cell: each[at] for cell, each in values.items()}, again[at]) for at in range(len(again))])
    moments, share = runs[0].moments, repainted.share(runs[0].mask, 1)
    reading = TriggerReading(
        subject.file.name, subject.strength, question.word, question.texts(), seeds, [each.sigma for each in moments],
        rows, plan.steps, len(seeds) + (len(cells) - 1), 9 * len(moments) * len(seeds),
        None if share is None else float(share),
    )  # fmt: skip
    pictures = torch.cat([cells[on, place] for on in (False, True) for place in PLACES]) if draws else None
    return reading, pictures


def _require_one(latent: dict) -> None:
    if len(latent[SAMPLES]) != 1:
        raise ValueError(
            f"{NAME}: got a LATENT with {len(latent[SAMPLES])} pictures, expected one. Use `seeds` to measure several."
        )
