"""Do the nano models follow their prompts, CLIP's and T5's?

    python dev.py bench nano [--pictures 200] [--seed 0] [--models FOLDER] [--guidance 3.5] [--sheet FILE]

Scenes that are not in the training data (nano/scenes/scene.py, `unseen`) are described in prompts, sampled in 12 steps,
read back from the pictures (nano/scenes/reading.py) and compared. Chance compares the first row's pictures with other
scenes; the ceiling reads true pictures that went through the autoencoder.
"""

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import comfy.utils
import numpy as np
import torch
from PIL import Image

from ..devtools import say
from ..nano import card, scenes
from ..nano.pipeline import GUIDANCE, MODELS, STEPS, Pipeline, Prompt
from ..nano.text import words_at_random
from .measure import machine, seconds, table, warn_if_busy

ONE, TWO, THREE = {1: 1.0}, {2: 1.0}, {3: 1.0}
COLUMNS = ("colour", "place", "shape", "size", "fill", "background", "relation", "count", "everything")

Scene, Rng = scenes.Scene, random.Random


@dataclass(frozen=True)
class Case:
    """A row of the table: which scenes, how they are described (`say`), and which columns are filled in."""

    name: str
    say: Callable[[Scene, Rng], Prompt]
    counts: dict[int, float]
    columns: tuple[str, ...]
    related: bool = False


def _split(scene: Scene, rng: Rng, patterns: scenes.Patterns = scenes.TRAINED) -> Prompt:
    return Prompt(scenes.background_caption(scene, rng, patterns), scenes.object_caption(scene, rng, patterns))


def _untrained(scene: Scene, rng: Rng) -> Prompt:
    return _split(scene, rng, scenes.UNTRAINED)


def _unknown(scene: Scene, rng: Rng) -> Prompt:
    prompt = _split(scene, rng)
    return Prompt(f"{prompt.clip} {words_at_random(rng)}", f"{prompt.t5}, {words_at_random(rng)}")


def _whole_on_t5(scene: Scene, rng: Rng) -> Prompt:
    return Prompt("", scenes.whole_caption(scene, rng))


def _whole_on_clip(scene: Scene, rng: Rng) -> Prompt:
    return Prompt(scenes.whole_caption(scene, rng), "")


def _whole_on_both(scene: Scene, rng: Rng) -> Prompt:
    text = scenes.whole_caption(scene, rng)
    return Prompt(text, text)


def _background_on_clip(scene: Scene, rng: Rng) -> Prompt:
    return Prompt(scenes.background_caption(scene, rng), "")


OBJECT = ("colour", "place", "shape", "size", "fill")
ALL = (*OBJECT, "background", "count", "everything")
CASES = (
    Case("one object on T5, background on CLIP", _split, ONE, ALL),
    Case("background on CLIP, T5 empty", _background_on_clip, ONE, ("background",)),
    Case(
        "two objects in a relation on T5, background on CLIP",
        _split,
        TWO,
        ("colour", "shape", "size", "fill", "background", "relation", "count", "everything"),
        related=True,
    ),
    Case("all on T5, CLIP empty", _whole_on_t5, ONE, ALL),
    Case("the same text on both", _whole_on_both, ONE, ALL),
    Case("all on CLIP, T5 empty", _whole_on_clip, ONE, ALL),
    Case("one object, sentences never trained", _untrained, ONE, ALL),
    Case("one object, among unknown words", _unknown, ONE, ALL),
    Case("three objects on T5, background on CLIP", _split, THREE, ALL),
)


def drawn_by_lot(case: Case, count: int, rng: Rng) -> list[Scene]:
    return [scenes.unseen_scene(rng, case.counts, case.related) for _ in range(count)]


def shares(expected: list[Scene], seen: list[Scene]) -> dict[str, float]:
    """For each attribute, the share of pictures in which it is right, of those whose prompt names it."""
    verdicts = [scenes.judge(*pair) for pair in zip(expected, seen, strict=True)]
    names = dict.fromkeys(name for verdict in verdicts for name in verdict)
    return {name: mean(verdict[name] for verdict in verdicts if name in verdict) for name in names}


def row(name: str, columns: tuple[str, ...], right: dict[str, float]) -> list[str]:
    return [name, *(f"{100 * right[column]:.1f}" if column in columns else "" for column in COLUMNS)]


def followed(pipeline: Pipeline, chosen: argparse.Namespace) -> list[list[str]]:
    """The table's rows: percent of the pictures."""
    rows, sheets = [], []
    for number, case in enumerate(CASES):
        rng = random.Random(f"{chosen.seed}/{number}")
        expected = drawn_by_lot(case, chosen.pictures, rng)
        pictures = pipeline.draw([case.say(scene, rng) for scene in expected], chosen.seed, guidance=chosen.guidance)
        seen = [scenes.read(picture) for picture in pictures]
        rows.append(row(case.name, case.columns, shares(expected, seen)))
        sheets.append(np.concatenate(pictures[:10], 1))
        say("  " + ", ".join(filter(None, rows[-1])))
        if number == 0:
            right = shares(expected[1:], seen[:-1])
            chance = row("chance: the first row's pictures, other scenes", case.columns, right)
            decoded = decode_true(pipeline, expected)
            ceiling = row(
                "ceiling: true pictures through the autoencoder",
                case.columns,
                shares(expected, [scenes.read(picture) for picture in decoded]),
            )
    if chosen.sheet:
        Image.fromarray(np.concatenate(sheets)).save(chosen.sheet)
    return [*rows, chance, ceiling]


@torch.no_grad()
def decode_true(pipeline: Pipeline, expected: list[Scene]) -> np.ndarray:
    pixels = torch.from_numpy(np.stack([scenes.render(scene) for scene in expected])).float() / 255
    parts = [pipeline.vae.decode(pipeline.vae.encode(part)) for part in pixels.split(16)]
    return (torch.cat(parts) * 255).round().clamp(0, 255).to(torch.uint8).numpy()


# ---- conflict


def conflict(pipeline: Pipeline, chosen: argparse.Namespace) -> list[list[str]]:
    """The T5 prompt names one scene and the CLIP prompt another: which attributes are drawn?"""
    rng = random.Random(f"{chosen.seed}/conflict")
    case = Case("", _whole_on_both, ONE, ())
    pairs = list(zip(*(drawn_by_lot(case, chosen.pictures, rng) for _ in range(2)), strict=True))
    prompts = [Prompt(scenes.whole_caption(clip, rng), scenes.whole_caption(t5, rng)) for t5, clip in pairs]
    pictures = pipeline.draw(prompts, chosen.seed, guidance=chosen.guidance)
    seen = [scenes.read(picture) for picture in pictures]
    rows = []
    for name in (*OBJECT, "background"):
        outcomes = [winner(name, t5, clip, picture) for (t5, clip), picture in zip(pairs, seen, strict=True)]
        outcomes = [outcome for outcome in outcomes if outcome]
        percents = [f"{100 * mean(each == side for each in outcomes):.1f}" for side in ("T5", "CLIP", "neither")]
        rows.append([name, *percents, str(len(outcomes))])
    return rows


def winner(name: str, t5: Scene, clip: Scene, seen: Scene) -> str | None:
    """Whose value of an attribute the picture shows: "T5", "CLIP" or "neither"; None if both prompts have the same."""

    def values(scene: Scene) -> list[str]:
        return [scene.background] if name == "background" else [getattr(item, name) for item in scene.objects[-1:]]

    if values(t5) == values(clip):
        return None
    return "T5" if values(seen) == values(t5) else "CLIP" if values(seen) == values(clip) else "neither"


# ---- time


def speed(pipeline: Pipeline, repeats: int = 5) -> float:
    """Median seconds for one picture at the default size, from text to pixels."""
    taken = []
    for number in range(repeats + 1):
        started = time.perf_counter()
        pipeline.draw([Prompt("on pink paper", "a green ring with stripes at the bottom")], number)
        taken.append(time.perf_counter() - started)
    return median(taken[1:])


def options(name: str, description: str, pictures: int, first: str) -> argparse.Namespace:
    """What `bench nano` and `bench habits` are asked for; `first` pictures of each row are on the sheet."""
    parser = argparse.ArgumentParser(prog=f"dev.py bench {name}", description=description)
    parser.add_argument("--pictures", type=int, default=pictures, help="for each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, default=MODELS, help="the models folder")
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--sheet", type=Path, help=f"write the first {first} pictures of each row here")
    parser.add_argument("--json", type=Path, help="write the tables here, too")
    parser.add_argument("--card", action="store_true", help="write the tables into the model card, too")
    return parser.parse_args()


def main() -> None:
    chosen = options("nano", __doc__.splitlines()[0], 200, "ten")
    comfy.utils.set_progress_bar_enabled(False)
    warn_if_busy()
    pipeline = Pipeline(chosen.models)
    time_for_one = speed(pipeline)
    say(f"{STEPS} steps and everything else in {seconds(time_for_one)}; {chosen.pictures} pictures for each row ...")
    tables = {"followed": followed(pipeline, chosen), "conflict": conflict(pipeline, chosen)}
    heads = {"followed": ["", *COLUMNS], "conflict": ["which is drawn", "T5's", "CLIP's", "neither", "pictures"]}
    drawn = {name: table(head, tables[name]) for name, head in heads.items()}
    print(f"\n{machine()}; {STEPS} steps, guidance {chosen.guidance}: {seconds(time_for_one)} for one picture\n")
    print(f"Right, in percent of {chosen.pictures} pictures\n\n{drawn['followed']}\n")
    print("T5 and CLIP prompts of different scenes, percent of the pictures in which their words differ\n")
    print(drawn["conflict"])
    for name in drawn if chosen.card else ():
        card.fill(name, drawn[name])
    if chosen.json:
        chosen.json.write_text(json.dumps({"seconds": time_for_one, **tables}, indent=1))


if __name__ == "__main__":
    main()
