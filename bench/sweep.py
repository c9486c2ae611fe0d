"""When does each prompt decide the picture? Prompts switched at every step on the nano model.

    python dev.py bench sweep [--scenes 60] [--steps 20] [--seed 0] [--models FOLDER] [--strip FILE]

Two scenes that are not in the training data: A has one object in the T5 prompt and one background in the CLIP prompt, B
another object and background. For every k prompt A acts before step k and B from step k on, for the T5 prompt alone and
then for the CLIP prompt alone, with Switch Sweep's own code. The scene is read back from each picture
(nano/scenes/reading.py): does it show A's word or B's?
"""

import argparse
import json
import random
from pathlib import Path
from statistics import mean, median, quantiles

import comfy.utils
import numpy as np
import torch
from PIL import Image

from ..devtools import say
from ..nano import layouts, scenes
from ..nano.pipeline import MODELS, SIDE, Pipeline, Prompt
from ..nano.scenes.reading import read_background
from ..nodes.probe.sweep.choices import CLIP, SAMPLER, T5
from ..nodes.probe.sweep.distances import between, decided, distances
from ..nodes.probe.sweep.runner import sweep
from ..nodes.probe.sweep.switched_prompt import switched
from ..nodes.sample.sampling import SamplingPlan
from .measure import machine, table

# The attributes that each prompt names.
OBJECT = ("colour", "shape", "place")
STREAMS = {T5: OBJECT, CLIP: ("background",)}


def read(picture: np.ndarray, stream: str) -> scenes.Scene:
    """The scene in a picture; for CLIP the background alone, since finding objects takes far longer."""
    return scenes.read(picture) if stream == T5 else read_background(picture.astype(np.float32) / 255)


def words(scene: scenes.Scene, name: str) -> set[str]:
    return {scene.background} if name == "background" else {getattr(each, name) for each in scene.objects}


def pairs(count: int, rng: random.Random) -> list[tuple[scenes.Scene, scenes.Scene]]:
    """Pairs of scenes with one object each that differ in all attributes."""
    found = []
    while len(found) < count:
        a, b = (scenes.unseen_scene(rng, {1: 1.0}) for _ in range(2))
        if all(words(a, name) != words(b, name) for name in (*OBJECT, "background")):
            found.append((a, b))
    return found


def shown(a: scenes.Scene, b: scenes.Scene, seen: scenes.Scene) -> dict[str, str]:
    """For each attribute, whose word the picture shows: "A", "B", "AB" or ""."""
    sides = {"A": a, "B": b}
    return {
        name: "".join(side for side, scene in sides.items() if words(scene, name) <= words(seen, name))
        for name in (*OBJECT, "background")
    }


def swept(pipeline: Pipeline, scene_pairs, stream: str, chosen: argparse.Namespace):
    """([(shown words by switch, decided step) of each pair], the last pair's Swept)."""
    rng, results, schedule = random.Random(f"{chosen.seed}/captions"), [], None
    for number, (a, b) in enumerate(scene_pairs):
        texts = [Prompt(scenes.background_caption(each, rng), scenes.object_caption(each, rng)) for each in (a, b)]
        first, second = (pipeline.conditioning([text]) for text in texts)
        latent = {"samples": torch.zeros(1, layouts.LATENT_CHANNELS, SIDE, SIDE)}
        plan = SamplingPlan(chosen.seed + number, chosen.steps, SAMPLER, "simple")
        found = sweep(pipeline.flux, first, switched(first, second, stream), latent, plan, batch=16)
        pixels = (pipeline.vae.decode(found.samples) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        shown_words = [shown(a, b, read(picture, stream)) for picture in pixels]
        results.append((shown_words, decided(found.switches, distances(found.samples).way)))
        schedule = found
        if chosen.strip and number == 0:
            Image.fromarray(np.concatenate(pixels, 1)).save(chosen.strip.with_stem(f"{chosen.strip.stem}_{stream}"))
        if number % 10 == 9:
            say(f"  {stream}: {number + 1} of {len(scene_pairs)}")
    return results, schedule


def rows(results, schedule, stream: str) -> list[list[str]]:
    """A row for each switch: percent of the pictures that show A's word, and B's."""
    out = []
    for place, k in enumerate(schedule.switches):
        cells = []
        for name in STREAMS[stream]:
            shown_words = [each[0][place][name] for each in results]
            cells += [f"{100 * mean(side in each for each in shown_words):.0f}" for side in ("A", "B")]
        out.append([str(k), f"{schedule.sigmas[k]:.2f}", f"{schedule.percents[k]:.0f}", *cells])
    return out


def turning(results, schedule, name: str) -> str:
    """The first switch at which more pictures show A's word than B's, as text."""
    for place, k in enumerate(schedule.switches):
        shown_words = [each[0][place][name] for each in results]
        if mean("A" in each for each in shown_words) > mean("B" in each for each in shown_words):
            return f"step {k} (sigma {schedule.sigmas[k]:.2f}, {schedule.percents[k]:.0f} % of time)"
    return "never"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench sweep", description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=60, help="pairs of scenes")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, default=MODELS, help="the models folder")
    parser.add_argument("--strip", type=Path, help="write the first pair's pictures here, a file each for T5 and CLIP")
    parser.add_argument("--json", type=Path, help="write the tables here, too")
    return parser.parse_args()


@torch.inference_mode()
def main() -> None:
    chosen = options()
    comfy.utils.set_progress_bar_enabled(False)
    pipeline = Pipeline(chosen.models)
    scene_pairs = pairs(chosen.scenes, random.Random(chosen.seed))
    tables = {}
    print(f"{machine()}; {chosen.scenes} pairs of scenes, {chosen.steps} steps\n")
    for stream, names in STREAMS.items():
        results, schedule = swept(pipeline, scene_pairs, stream, chosen)
        heads = ["switch at step", "sigma", "% of time", *(f"{side}'s {name}" for name in names for side in "AB")]
        tables[stream] = heads, rows(results, schedule, stream)
        steps = [step for _, step in results if step is not None]
        low, *_, high = quantiles(steps, n=10)
        middle = median(steps)
        moment = f"sigma {between(schedule.sigmas, middle):.2f}, {between(schedule.percents, middle):.0f} % of time"
        print(f"The {stream} prompt switches; percent of the pictures that show the word\n\n{table(*tables[stream])}")
        print(
            f"\nDecided (latents): median step {middle:.1f} of {chosen.steps}, {moment}; "
            f"8 of 10 pairs from {low:.1f} to {high:.1f}"
        )
        for name in names:
            print(f"More pictures show A's {name} than B's from a switch at {turning(results, schedule, name)} on")
        print()
    if chosen.json:
        chosen.json.write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
