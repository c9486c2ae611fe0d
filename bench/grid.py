"""How much of the picture do the CLIP prompt and the T5 prompt explain? Prompt Grid's analysis on the nano model.

    python dev.py bench grid [--prompts 6] [--seeds 4] [--seed 0] [--models FOLDER] [--out FOLDER]

Scenes that are not in the training data, with three kinds of prompts: background in the CLIP prompt and object in the
T5 prompt, unrelated whole scenes in both, and object in the CLIP prompt and background in the T5 prompt.
"""

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path

import comfy.utils
import torch

from ..devtools import say
from ..nano import layouts, scenes
from ..nano.pipeline import GUIDANCE, MODELS, SIDE, STEPS, Pipeline
from ..nodes.encode.encoding import encode_clip, encode_t5
from ..nodes.probe.grid.cells import draw
from ..nodes.probe.grid.summary import NAMES, page, sentence
from ..nodes.probe.grid.variance import PARTS, Analysis, analyse
from ..nodes.probe.grid.variants import Variant
from ..nodes.probe.plots import sheets
from ..nodes.sample.sampling import SamplingPlan
from .measure import machine, table

Caption = Callable[[scenes.Scene, random.Random], str]
CASES: dict[str, tuple[Caption, Caption]] = {
    "background on CLIP, object on T5": (scenes.background_caption, scenes.object_caption),
    "whole scenes on both, unrelated": (scenes.whole_caption, scenes.whole_caption),
    "object on CLIP, background on T5": (scenes.object_caption, scenes.background_caption),
}


def captions(caption: Caption, count: int, rng: random.Random) -> list[str]:
    """At most `count` captions of scenes with different backgrounds."""
    texts: dict[str, str] = {}
    while len(texts) < min(count, len(scenes.BACKGROUNDS)):
        scene = scenes.unseen_scene(rng, {1: 1.0})
        texts.setdefault(scene.background, caption(scene, rng))
    return [*texts.values()]


def analysed(pipeline: Pipeline, name: str, chosen: argparse.Namespace) -> dict[str, Analysis]:
    rng = random.Random(f"{chosen.seed}/{name}")
    clips, t5s = (captions(caption, chosen.prompts, rng) for caption in CASES[name])
    vecs = [encode_clip(pipeline.clip_l, text) for text in clips]
    txts = [encode_t5(pipeline.t5, text)[0] for text in t5s]
    latent = {"samples": torch.zeros(1, layouts.LATENT_CHANNELS, SIDE, SIDE)}
    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    plan = SamplingPlan(chosen.seed, STEPS, "euler", "simple")
    cells = Variant(None, pipeline.flux, vecs, txts)
    latents = draw([cells], GUIDANCE, latent, plan, seeds, keep=False).latents[0]
    flat = latents.flatten(0, 2)
    pixels = torch.cat([pipeline.vae.decode(part) for part in flat.split(16)])
    pixels = pixels.reshape(*latents.shape[:3], *pixels.shape[1:])
    analyses = {"latents": analyse(latents), "pixels": analyse(pixels)}
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        stem = name.replace(" ", "_").replace(",", "")
        pictures = [[sheets.picture(each) for each in row] for row in pixels[0]]
        sheets.contact_sheet(name, pictures, clips, t5s).save(chosen.out / f"{stem}.png")
        page(analyses).save(chosen.out / f"{stem}_variance.png")
    return analyses


def share(analysis: Analysis, part: str) -> str:
    interval, chance = analysis.intervals[part], analysis.chance[part]
    between = f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else ""
    alone = "" if chance is None else f", chance {100 * chance:.1f}"
    return f"{100 * analysis.shares[part]:.1f}{between}{alone}"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench grid", description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=6, help="for CLIP, and for T5")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, default=MODELS, help="the models folder")
    parser.add_argument("--out", type=Path, help="write the sheets and charts into this folder")
    parser.add_argument("--json", type=Path, help="write the table here, too")
    return parser.parse_args()


@torch.inference_mode()
def main() -> None:
    chosen = options()
    comfy.utils.set_progress_bar_enabled(False)
    pipeline = Pipeline(chosen.models)
    rows, sentences = [], []
    for name in CASES:
        say(f"  {name} ...")
        for kind, analysis in analysed(pipeline, name, chosen).items():
            rows.append([f"{name}, {kind}", *(share(analysis, part) for part in PARTS)])
            sentences.append(f"{name}: {sentence(analysis, kind)}")
    design = f"{chosen.prompts} x {chosen.prompts} prompts x {chosen.seeds} seeds, {STEPS} steps"
    print(f"\n{machine()}; {design}. Percent of the variance, unbiased, and 95 % intervals over seeds\n")
    print(f"{table(['', *NAMES.values()], rows)}\n")
    print("\n".join(sentences))
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
