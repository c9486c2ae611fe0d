"""Do the heatmaps point at the objects, and what do they cost?

    python dev.py bench heatmap [--scenes 200] [--seed 0] [--sheet FILE]
    python dev.py bench heatmap --cost [--scale small] [--rounds 5] [--steps 2] [--tokens 1024] [--words 16]

Accuracy: the nano models sample scenes that are not in the training data, one object each; the map of the object's
words is compared with the renderer's mask of that object, on the map's own 8 x 8 tokens, for each measure, block and
part of the run. IoU and accuracy are at Otsu's threshold of each map, AP is the average precision of the raw map (as
reported for ConceptAttention). Cost: a sampling step on blocks as wide as FLUX.1's, with the probe ("ours") and without
("native"), with PyTorch's attention, which ComfyUI uses on GPUs; and the maps' memory, computed.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import comfy.ldm.flux.math
import comfy.ldm.modules.attention
import comfy.sample
import comfy.utils
import numpy as np
import torch
from torch import Tensor

from ..devtools import say
from ..nano import layouts, scenes
from ..nano.pipeline import GUIDANCE, SIDE, STEPS, Pipeline
from ..nodes.condition.blocks import Blocks
from ..nodes.condition.conditioning import join
from ..nodes.encode import encoding
from ..nodes.probe.heat.choices import CONCEPT, FLOW, MASS, OUTPUT
from ..nodes.probe.heat.concept_recorder import ConceptRecorder, Concepts
from ..nodes.probe.heat.nodes import ConceptHeatmap, Heatmap
from ..nodes.probe.heat.reading import GROUPS, Choice, HeatReading, maps, masks, otsu
from ..nodes.probe.heat.recorder import KEY, HeatRecorder
from ..nodes.probe.heat.selection import Wanted
from ..nodes.probe.heat.showing import drawn
from ..nodes.probe.hooks import probed
from ..nodes.probe.reading_store import ReadingStore
from . import step
from .measure import SIDES, Comparison, compared, machine, table, warn_if_busy

MEASURES = (MASS, FLOW, OUTPUT, CONCEPT)
BACKGROUNDS = 4  # concepts besides the words
DENSE = "dense capture"  # for comparison: the same maps from whole attention matrices
PARTS = {"all steps": (0, STEPS - 1), "first third": (0, 3), "second third": (4, 7), "last third": (8, STEPS - 1)}
INSIDE = 0.5  # an image token is the object's if more than this share of it is covered


@dataclass(frozen=True)
class Case:
    """A scene, its two prompts, and which of the 8 x 8 image tokens its object covers."""

    scene: scenes.Scene
    clip: str
    t5: str
    truth: np.ndarray

    @property
    def words(self) -> tuple[str, ...]:
        """The object's colour, its shape, and the parts of its sentence without the end token."""
        item = self.scene.objects[0]
        return item.colour, item.shape, *self.t5.split(", ")


WORDS = ("its colour", "its shape", "its whole caption")


def cases(count: int, seed: int) -> list[Case]:
    rng, found = random.Random(f"heatmap {seed}"), []
    while len(found) < count:
        scene = scenes.unseen_scene(rng, {1: 1.0})
        t5 = scenes.object_caption(scene, rng)
        item = scene.objects[0]
        (mask,) = scenes.masks(scene)
        truth = mask.reshape(8, 16, 8, 16).mean((1, 3)) > INSIDE
        if truth.any() and item.colour in t5 and item.shape in t5:
            found.append(Case(scene, scenes.background_caption(scene, rng), t5, truth))
    return found


def read(pipeline: Pipeline, case: Case, measure: str, seed: int) -> tuple[HeatReading, Tensor]:
    txt, _ = encoding.encode_t5(pipeline.t5, case.t5)
    vec = encoding.encode_clip(pipeline.clip_l, case.clip)
    if measure == CONCEPT:  # each concept is one row, so there is none of the whole caption
        ready = ConceptHeatmap.execute(pipeline.flux, pipeline.t5, "\n".join(case.words[:2]))
    else:
        ready = Heatmap.execute(pipeline.flux, txt, "\n".join(case.words), measure)
    model, probe = ready.result
    positive, latent = join(vec, txt, GUIDANCE), torch.zeros(1, 16, SIDE, SIDE)
    noise = comfy.sample.prepare_noise(latent, seed)
    samples = comfy.sample.sample(
        model, noise, STEPS, 1.0, "euler", "simple", positive, positive, latent, seed=seed, disable_pbar=True
    )
    return probe.reading({"samples": samples}), samples


# ---- how well a map points


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def average_precision(values: np.ndarray, truth: np.ndarray) -> float:
    """Tokens ordered from the highest value down: the mean precision at each of the object's tokens."""
    hits = truth.ravel()[np.argsort(-values.ravel(), kind="stable")]
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def judged(found: Tensor, truth: np.ndarray) -> tuple[float, float, float]:
    """(IoU, accuracy, average precision) of one word's map [h, w]."""
    hard = otsu(masks(found[None]))[0].numpy()
    return iou(hard, truth), float((hard == truth).mean()), average_precision(found.numpy(), truth)


def block_choices(reading: HeatReading) -> dict[str, Blocks]:
    kinds = ["all", "double", "single"] if reading.recorded is None else ["all"]
    names = [*kinds, *map(str, reading.recorded or range(reading.blocks))]
    return {name: Blocks.parse(name) for name in names}


def scores(readings: Sequence[tuple[Case, HeatReading]], word: int) -> dict[tuple[str, str], np.ndarray]:
    """{(part of the run, blocks): mean (IoU, accuracy, AP)} of the maps of WORDS[word]."""
    found = {}
    for part, (first, last) in PARTS.items():
        for name, blocks in block_choices(readings[0][1]).items():
            choice = Choice(first, last, blocks)
            each = [judged(of_word(maps(reading, choice)[0], word), case.truth) for case, reading in readings]
            found[part, name] = np.mean(each, 0)
    return found


def of_word(found: Tensor, word: int) -> Tensor:
    """The map of WORDS[word] from the maps of a case's words; the sentence's parts are summed."""
    return found[word] if word < 2 else found[2:].sum(0)


def tables(readings: Sequence[tuple[Case, HeatReading]]) -> str:
    """A table for each of WORDS: IoU by part of the run and blocks, and the three numbers of the best entry."""
    lines = []
    for number, word in enumerate(WORDS[:2] if readings[0][1].measure == CONCEPT else WORDS):
        found = scores(readings, number)
        names = list(block_choices(readings[0][1]))
        rows = [[part, *(f"{found[part, name][0]:.2f}" for name in names)] for part in PARTS]
        best = max(found, key=lambda key: found[key][0])
        values = ", ".join(
            f"{label} {value:.2f}" for label, value in zip(("IoU", "accuracy", "AP"), found[best], strict=True)
        )
        lines += [f"\n{word}, mean IoU; best {best[0]}, block {best[1]}: {values}\n", table(["blocks", *names], rows)]
    return "\n".join(lines)


def true(chosen: argparse.Namespace) -> None:
    pipeline, every_case = Pipeline(), cases(chosen.scenes, chosen.seed)
    covered = np.mean([case.truth.mean() for case in every_case])
    print(
        f"\n{len(every_case)} unseen scenes of one object, which covers {100 * covered:.0f} % of the tokens; a map of "
        f"all tokens has IoU {covered:.2f}\n"
    )
    for measure in MEASURES:
        say(f"{measure} ...")
        readings = [(case, read(pipeline, case, measure, chosen.seed + at)[0]) for at, case in enumerate(every_case)]
        print(f"\n## {measure}\n{tables(readings)}")
    if chosen.sheet:
        reading, samples = read(pipeline, every_case[0], MASS, chosen.seed)
        picture = pipeline.vae.decode(samples)[0].numpy()
        choice = Choice(blocks=Blocks.parse(chosen.blocks))
        drawn(reading, choice, maps(reading, choice)[0], picture).save(chosen.sheet)


# ---- cost


def every_word(words: int, positive: list) -> Wanted:
    """A Wanted with one word for each of the first `words` rows of the prompt."""
    member = torch.zeros(step.TXT_TOKENS, words + len(GROUPS), dtype=torch.bool)
    member[range(words), range(words)] = True
    return Wanted(tuple(f"word {number}" for number in range(words)), member, texts=(positive[0][0][0],))


class Dense:
    """Captures attention without the log-sum-exp: every block's whole matrix, of which the words' columns are kept."""

    def __init__(self, wanted: Wanted):
        self.member = wanted.member[:, : len(wanted.words)].float()
        self.maps: list[Tensor] = []

    def options(self, options: dict) -> dict:
        return {**options, "optimized_attention_override": self._attend}

    def reading(self) -> list[Tensor]:
        return self.maps

    def _attend(self, _attention, q, k, v, *_, **__) -> Tensor:
        share = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)  # [B, H, L, L]
        txt = len(self.member)
        self.maps.append((share[:, :, txt:, :txt] @ self.member).mean(1).half())
        return (share @ v).transpose(1, 2).flatten(2)


def watched(flux, measure: str, shape: layouts.Shape, chosen: argparse.Namespace) -> Comparison:
    """A step without the probe and a step with it."""
    positive = step.prompt(shape)
    wanted = every_word(chosen.words, positive)

    def begin(guider, sigmas, repainted):
        if measure == DENSE:
            return Dense(wanted)
        if measure == CONCEPT:
            rows = torch.randn(chosen.words + BACKGROUNDS, positive[0][0].shape[2])
            return ConceptRecorder(Concepts(wanted.words, rows), (0,), 1, sigmas, guider, repainted)
        return HeatRecorder(wanted, measure, 1, sigmas, guider, repainted=repainted)

    def sampled(model):
        return step.sampled(model, positive, chosen.tokens, chosen.steps)

    ready = probed(flux, ReadingStore("bench"), KEY, begin)
    calls = dict(zip(SIDES, (lambda: sampled(flux), lambda: sampled(ready)), strict=True))
    name = f"{measure}: a step, width {shape.hidden}, {chosen.tokens} + {step.TXT_TOKENS} tokens"
    return step.steps_compared(calls, chosen.rounds, chosen.steps, name, same=measure != DENSE)


def cost(chosen: argparse.Namespace) -> None:
    """Prints the cost, with PyTorch's attention on both sides: its kernel returns the log-sum-exp with its output."""
    comfy.ldm.flux.math.optimized_attention = comfy.ldm.modules.attention.attention_pytorch
    shape = step.SCALES[chosen.scale]
    flux = step.model(shape)
    warn_if_busy()
    results = [watched(flux, measure, shape, chosen) for measure in (*MEASURES, DENSE)]
    print(
        f"\n{chosen.rounds} rounds of {chosen.steps} steps, {shape.double} double and {shape.single} single blocks, "
        f"{chosen.words} words; the probe's latents are equal\n\n{compared(results)}\n"
    )
    kept = 20 * 57 * chosen.words * 4096 * 4
    print(
        f"Maps of {chosen.words} words at 1024 x 1024, 57 blocks, 20 steps, in float32 (computed): {kept / 1e6:.0f} MB"
    )


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench heatmap", description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="also write the first scene's heatmaps as a picture")
    parser.add_argument("--blocks", default="1", help="the blocks of that picture")
    parser.add_argument("--cost", action="store_true", help="measure the cost instead of the accuracy")
    parser.add_argument("--scale", choices=step.SCALES, default="real", help="of --cost; real needs 8 GB of memory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="sampling steps in a round")
    parser.add_argument("--tokens", type=int, default=1024, help="image tokens")
    parser.add_argument("--words", type=int, default=16)
    return parser.parse_args()


def main() -> None:
    chosen = options()
    comfy.utils.set_progress_bar_enabled(False)
    print(machine())
    with torch.inference_mode():
        cost(chosen) if chosen.cost else true(chosen)


if __name__ == "__main__":
    main()
