"""What does a nano model add that no prompt names, and on which prompt does a word stop it?

    python dev.py bench habits [--pictures 60] [--seed 0] [--models FOLDER] [--guidance 3.5] [--sheet FILE]

In the training data most fish are under water and most moons at night (nano/scenes/vocabulary.py, HABITS). A drawn
thing is named without a colour, a place or a background, on the T5 prompt, on the CLIP prompt or on both; then another
background is named on one of them. The pictures are read back (nano/scenes/reading.py).
"""

import argparse
import json
import random
from collections.abc import Callable
from statistics import mean

import comfy.utils
import numpy as np
from PIL import Image

from ..devtools import say
from ..nano import card, scenes
from ..nano.pipeline import Pipeline, Prompt
from .measure import machine, table, warn_if_busy
from .nano import options

COLUMNS = ("the thing", "its habitual colour", "its habitual background", "the named background")

# What is named, from the thing ("a fish") and another background ("in the snow").
CASES: dict[str, Callable[[str, str], Prompt]] = {
    "the thing on T5, CLIP empty": lambda thing, look: Prompt("", thing),
    "the thing on CLIP, T5 empty": lambda thing, look: Prompt(thing, ""),
    "the thing on both": lambda thing, look: Prompt(thing, thing),
    "the thing on T5, another background on CLIP": lambda thing, look: Prompt(look, thing),
    "the thing and another background on T5, CLIP empty": lambda thing, look: Prompt("", f"{thing} {look}"),
    "the thing on both, another background on T5": lambda thing, look: Prompt(thing, f"{thing} {look}"),
    "the thing on both, another background on CLIP": lambda thing, look: Prompt(f"{thing} {look}", thing),
    "both on both": lambda thing, look: Prompt(f"{thing} {look}", f"{thing} {look}"),
}


def lots(count: int, seed: int) -> list[tuple[str, str]]:
    """(a thing, a background that is not its habit), the things in turn."""
    rng, things = random.Random(f"habits {seed}"), list(scenes.THINGS)
    chosen = [things[number % len(things)] for number in range(count)]
    return [(thing, rng.choice([look for look in scenes.BACKGROUNDS if look != scenes.HABITS[thing][1]]))
            for thing in chosen]  # fmt: skip


def judged(lot: tuple[str, str], picture: np.ndarray) -> tuple[bool, bool, bool, bool]:
    """The columns for one picture. The colour counts that of the thing alone."""
    (thing, look), seen = lot, scenes.read(picture)
    colour, background = scenes.HABITS[thing]
    found = [item for item in seen.objects if item.shape == thing]
    return bool(found), any(item.colour == colour for item in found), seen.background == background, (
        seen.background == look
    )  # fmt: skip


def habits(pipeline: Pipeline, chosen: argparse.Namespace) -> list[list[str]]:
    """The table's rows: per cent of the pictures."""
    rows, sheets, drawn = [], [], lots(chosen.pictures, chosen.seed)
    for name, prompt in CASES.items():
        prompts = [prompt(f"a {thing}", scenes.BACKGROUNDS[look][1][0]) for thing, look in drawn]
        pictures = pipeline.draw(prompts, chosen.seed, guidance=chosen.guidance)
        shares = np.mean([judged(*pair) for pair in zip(drawn, pictures, strict=True)], 0)
        rows.append([name, *(f"{100 * share:.1f}" for share in shares)])
        if "another" not in name and "both on" not in name:
            rows[-1][-1] = ""  # no background is named
        sheets.append(np.concatenate(pictures[:12], 1))
        say("  " + ", ".join(filter(None, rows[-1])))
    if chosen.sheet:
        Image.fromarray(np.concatenate(sheets)).save(chosen.sheet)
    return rows


def bare(pipeline: Pipeline, chosen: argparse.Namespace) -> str:
    """What two empty prompts give: per cent without an object, and the backgrounds."""
    pictures = pipeline.draw([Prompt("", "")] * chosen.pictures, chosen.seed, guidance=chosen.guidance)
    seen = [scenes.read(picture) for picture in pictures]
    looks = [scene.background for scene in seen]
    counts = ", ".join(f"{look} {looks.count(look)}" for look in scenes.BACKGROUNDS if look in looks)
    return f"Two empty prompts: {100 * mean(not scene.objects for scene in seen):.1f} without an object; {counts}"


def main() -> None:
    chosen = options("habits", __doc__.splitlines()[0], 60, "twelve")
    comfy.utils.set_progress_bar_enabled(False)
    warn_if_busy()
    pipeline = Pipeline(chosen.models)
    rows, empty = habits(pipeline, chosen), bare(pipeline, chosen)
    print(f"\n{machine()}; guidance {chosen.guidance}; per cent of {chosen.pictures} pictures\n")
    drawn = table(["", *COLUMNS], rows) + f"\n\n{empty}"
    print(drawn)
    if chosen.card:
        card.fill("habits", drawn)
    if chosen.json:
        chosen.json.write_text(json.dumps({"habits": rows, "empty": empty}, indent=1))


if __name__ == "__main__":
    main()
