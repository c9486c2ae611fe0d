"""How much do the CLIP and T5 prompts matter, and when? Encoder Influence on scenes that are not in the training data.

    python dev.py bench influence [--scenes 64] [--seed 0] [--null "empty prompt"] [--models FOLDER] [--json FILE]

The nano model samples each scene in 12 steps from three kinds of prompts, and is evaluated at every step without CLIP's
prompt, without T5's and without either. Effects are percent of the velocity's length, shares are percent of what both
prompts change. They are the nano model's; Encoder Influence measures those of any other model.
"""

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import comfy.sample
import comfy.utils
import torch

from ..devtools import say
from ..nano import layouts, scenes
from ..nano.pipeline import MODELS, SIDE, STEPS, Pipeline, Prompt
from ..nodes.encode import encoding
from ..nodes.probe.influence.choices import PARTS
from ..nodes.probe.influence.effects import of_picture, pooled
from ..nodes.probe.influence.nodes import BOTH, EMPTY, ZEROS, Influence
from ..nodes.probe.influence.reading import InfluenceReading
from ..nodes.probe.influence.summary import repeats
from .measure import machine, table

Rng = random.Random


def split(scene: scenes.Scene, rng: Rng) -> Prompt:
    return Prompt(scenes.background_caption(scene, rng), scenes.object_caption(scene, rng))


def same(scene: scenes.Scene, rng: Rng) -> Prompt:
    text = scenes.whole_caption(scene, rng)
    return Prompt(text, text)


def on_t5(scene: scenes.Scene, rng: Rng) -> Prompt:
    return Prompt("", scenes.whole_caption(scene, rng))


@dataclass(frozen=True)
class Case:
    name: str
    say: Callable[[scenes.Scene, Rng], Prompt]


CASES = (
    Case("object on T5, background on CLIP", split),
    Case("the same full text on both", same),
    Case("all on T5, CLIP empty", on_t5),
)
COLUMNS = ("D_clip", "solo_clip", "D_t5", "solo_t5", "interaction", "whole", "share_clip", "share_t5")
HEADS = ("", "part of the run", "CLIP, unique (D)", "CLIP alone", "T5, unique (D)", "T5 alone", "interaction", "both",
         "share CLIP", "share T5")  # fmt: skip


def measured(pipeline: Pipeline, prompts: list[Prompt], seed: int, null: str) -> InfluenceReading:
    """The reading of one run, with a picture for each prompt."""
    empty = encoding.encode_clip(pipeline.clip_l, ""), encoding.encode_t5(pipeline.t5, "")[0]
    model, probe = Influence.execute(pipeline.flux, null, 1, *empty).result
    positive = pipeline.conditioning(prompts)
    latent = torch.zeros(len(prompts), layouts.LATENT_CHANNELS, SIDE, SIDE)
    noise = comfy.sample.prepare_noise(latent, seed)
    samples = comfy.sample.sample(
        model, noise, STEPS, 1.0, "euler", "simple", positive, positive, latent, seed=seed, disable_pbar=True
    )
    return probe.reading({"samples": samples})


def by_scene(readings: list[InfluenceReading], part: str, null: str) -> list[dict]:
    """Each scene's numbers in a part of the run."""
    return [
        pooled([of_picture(moment.effects[null], at) for moment in reading.part(part)])
        for reading in readings
        for at in range(reading.moments[0].effects[null].norms.shape[1])
    ]


def rows(case: Case, readings: list[InfluenceReading], null: str) -> list[list[str]]:
    out = []
    for part in PARTS:
        effects = [moment.effects[null] for reading in readings for moment in reading.part(part)]
        numbers = pooled(effects)
        out.append([case.name if part == PARTS[0] else "", part, *(f"{100 * numbers[name]:.1f}" for name in COLUMNS)])
    return out


def spread(case: Case, readings: list[InfluenceReading], null: str) -> list[str]:
    """Median and 5th to 95th percentile over scenes, and the share of scenes in which a prompt repeats the other."""
    each = by_scene(readings, PARTS[0], null)
    cells = []
    for name in ("D_clip", "D_t5", "share_t5"):
        low, *_, high = quantiles([100 * numbers[name] for numbers in each], n=20)
        middle = sorted(100 * numbers[name] for numbers in each)[len(each) // 2]
        cells.append(f"{middle:.1f} ({low:.1f} to {high:.1f})")
    repeating = (sum(repeats(numbers, stream) for numbers in each) / len(each) for stream in ("clip", "t5"))
    return [case.name, *cells, *(f"{100 * share:.0f} %" for share in repeating)]


def per_step(readings: list[InfluenceReading], null: str, name: str) -> list[float]:
    return [pooled([reading.moments[at].effects[null] for reading in readings])[name] for at in range(STEPS)]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench influence", description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=64, help="for each kind of prompts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--null", choices=(EMPTY, ZEROS), default=EMPTY, help="the reference of the tables")
    parser.add_argument("--models", type=Path, default=MODELS, help="the models folder")
    parser.add_argument("--json", type=Path, help="write all numbers, against both nulls, here")
    return parser.parse_args()


def readings_of(case: Case, rng: Rng, pipeline: Pipeline, chosen: argparse.Namespace) -> list[InfluenceReading]:
    """The readings of a case's runs, `chosen.batch` scenes each."""
    say(f"{chosen.scenes} scenes, {case.name} ...")
    prompts = [case.say(scenes.unseen_scene(rng, {1: 1.0}), rng) for _ in range(chosen.scenes)]
    null = BOTH if chosen.json else chosen.null
    return [
        measured(pipeline, prompts[at : at + chosen.batch], chosen.seed + at, null)
        for at in range(0, len(prompts), chosen.batch)
    ]


def report(found: dict[str, list[InfluenceReading]], chosen: argparse.Namespace) -> None:
    """Prints the three tables; `found` holds each case's readings by the case's name."""
    null = chosen.null
    print(
        f"\n{machine()}; {chosen.scenes} unseen scenes of one object, {STEPS} steps, compared with the {null}; "
        "percent of the velocity, shares of what both change\n"
    )
    print(table(HEADS, [row for case in CASES for row in rows(case, found[case.name], null)]))
    print("\nOver scenes, whole run: the median, and in parentheses the 5th and 95th percentile\n")
    heads = ["", "D_clip", "D_t5", "share T5", "CLIP repeats T5", "T5 repeats CLIP"]
    print(table(heads, [spread(case, found[case.name], null) for case in CASES]))
    sigmas = [f"{moment.sigma:.2f}" for moment in next(iter(found.values()))[0].moments]
    shares = {case.name: per_step(found[case.name], null, "share_t5") for case in CASES}
    print("\nT5's share step by step\n")
    print(table(["sigma", *sigmas], [[name, *(f"{100 * value:.0f}" for value in row)] for name, row in shares.items()]))


def numbers(readings: list[InfluenceReading], null: str) -> dict:
    """All numbers compared with one null, for the JSON file."""
    parts = {part: pooled([m.effects[null] for r in readings for m in r.part(part)]) for part in PARTS}
    return {"parts": parts, "per_step": {column: per_step(readings, null, column) for column in COLUMNS}}


@torch.inference_mode()
def main() -> None:
    chosen = options()
    comfy.utils.set_progress_bar_enabled(False)
    pipeline = Pipeline(chosen.models)
    rngs = [random.Random(f"{chosen.seed}/influence/{number}") for number in range(len(CASES))]
    found = {case.name: readings_of(case, rng, pipeline, chosen) for case, rng in zip(CASES, rngs, strict=True)}
    report(found, chosen)
    if chosen.json:
        nulls = {name: {null: numbers(readings, null) for null in (EMPTY, ZEROS)} for name, readings in found.items()}
        chosen.json.write_text(json.dumps(nulls))


if __name__ == "__main__":
    main()
