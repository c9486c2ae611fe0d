"""When does each stream decide? Prompts switched at every step, on the nano model, read back from the pictures.

    python dev.py bench sweep [--scenes 60] [--steps 20] [--seed 0] [--models FOLDER] [--strip FILE]

Two scenes that training never met: A tells T5 one object and CLIP one background, B others of both. For every k prompt
A acts before step k and B from it on, for the T5 prompt alone and then for the CLIP prompt alone, by Switch Sweep's
own code.
What is drawn is read with the renderer's means (nano/scenes/reading.py): does it show A's word or B's?
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
from ..nodes.probe.sweep.distances import between, decided, distances
from ..nodes.probe.sweep.runner import SAMPLER, sweep
from ..nodes.probe.sweep.switched_prompt import CLIP, T5, switched
from ..nodes.sample.sampling import SamplingPlan
from .measure import machine, table

# What a stream tells.
OBJECT = ("colour", "shape", "place")
STREAMS = {T5: OBJECT, CLIP: ("background",)}


def read(picture: np.ndarray, stream: str) -> scenes.Scene:
    """A picture as a scene, as far as the stream tells it: finding objects takes far longer."""
    return scenes.read(picture) if stream == T5 else read_background(picture.astype(np.float32) / 255)


def words(scene: scenes.Scene, name: str) -> set[str]:
    return {scene.background} if name == "background" else {getattr(each, name) for each in scene.objects}


def pairs(count: int, rng: random.Random) -> list[tuple[scenes.Scene, scenes.Scene]]:
    """Two scenes of one object each, which differ in every word that is asked for."""
    found = []
    while len(found) < count:
        a, b = (scenes.unseen_scene(rng, {1: 1.0}) for _ in range(2))
        if all(words(a, name) != words(b, name) for name in (*OBJECT, "background")):
            found.append((a, b))
    return found


def shown(a: scenes.Scene, b: scenes.Scene, seen: scenes.Scene) -> dict[str, str]:
    """Whose word a picture shows, for everything that is asked for: A, B, AB or nobody's."""
    sides = {"A": a, "B": b}
    return {
        name: "".join(side for side, told in sides.items() if words(told, name) <= words(seen, name))
        for name in (*OBJECT, "background")
    }


def swept(pipeline: Pipeline, scene_pairs, stream: str, chosen: argparse.Namespace):
    """For each pair: (whose word, by switch), the decided step; and the schedule."""
    rng, results, schedule = random.Random(f"{chosen.seed}/captions"), [], None
    for number, (a, b) in enumerate(scene_pairs):
        texts = [Prompt(scenes.background_caption(each, rng), scenes.object_caption(each, rng)) for each in (a, b)]
        first, second = (pipeline.conditioning([text]) for text in texts)
        latent = {"samples": torch.zeros(1, layouts.LATENT_CHANNELS, SIDE, SIDE)}
        plan = SamplingPlan(chosen.seed + number, chosen.steps, SAMPLER, "simple")
        found = sweep(pipeline.flux, first, switched(first, second, stream), latent, plan, batch=16)
        pixels = (pipeline.vae.decode(found.samples) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        whose = [shown(a, b, read(picture, stream)) for picture in pixels]
        results.append((whose, decided(found.switches, distances(found.samples).way)))
        schedule = found
        if chosen.strip and number == 0:
            Image.fromarray(np.concatenate(pixels, 1)).save(chosen.strip.with_stem(f"{chosen.strip.stem}_{stream}"))
        if number % 10 == 9:
            say(f"  {stream}: {number + 1} of {len(scene_pairs)}")
    return results, schedule


def rows(results, schedule, stream: str) -> list[list[str]]:
    """A row for each switch: per cent of the pictures that show A's word, and B's."""
    out = []
    for place, k in enumerate(schedule.switches):
        cells = []
        for name in STREAMS[stream]:
            whose = [each[0][place][name] for each in results]
            cells += [f"{100 * mean(side in each for each in whose):.0f}" for side in ("A", "B")]
        out.append([str(k), f"{schedule.sigmas[k]:.2f}", f"{schedule.percents[k]:.0f}", *cells])
    return out


def turning(results, schedule, name: str) -> str:
    """The first switch at which more pictures show A's word than B's."""
    for place, k in enumerate(schedule.switches):
        whose = [each[0][place][name] for each in results]
        if mean("A" in each for each in whose) > mean("B" in each for each in whose):
            return f"step {k} (sigma {schedule.sigmas[k]:.2f}, {schedule.percents[k]:.0f} % of time)"
    return "never"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench sweep", description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=60, help="pairs of scenes")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, default=MODELS, help="the models folder")
    parser.add_argument("--strip", type=Path, help="write the first pair's pictures here, a file for each stream")
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
        print(f"The {stream} stream switches; per cent of the pictures that show the word\n\n{table(*tables[stream])}")
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
