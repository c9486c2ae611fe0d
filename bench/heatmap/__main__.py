"""Do the heatmaps point at the objects, and what do they cost?

    python dev.py bench heatmap [--scenes 200] [--seed 0] [--measures mass ...] [--json FILE] [--sheet FILE]
    python dev.py bench heatmap --cost [--scale small] [--rounds 5] [--steps 2] [--tokens 1024] [--words 16]

Accuracy: the nano models sample scenes that are not in the training data, half of them of one object and half of two.
Each object is named by its noun, its colour, its phrase ("large red circle"), and the phrase with the words for its
place; the map of these words is compared with the renderer's mask of the object, at the map's own resolution, for each
measure, block and range of sigma, by the two protocols of protocols.py. One way to point is chosen for all prompts, on
half of the scenes, by the sum of both IoUs, and reported on the other half. The ceiling is the score of the mask itself
(each token's covered share) in place of a map; a second table has it for pictures of more tokens, up to the 64 x 64 of
FLUX.1 at 1024 x 1024 pixels. Cost: see cost.py.
"""

import argparse
import json
import time
from pathlib import Path

import comfy.utils
import torch

from ...devtools import say
from ...devtools.environment import cache_folder
from ...nano.scenes import SIZE
from ...nodes.disk.atomic import write_whole
from ...nodes.flux1_sizes import TOKEN
from .. import step
from ..measure import machine, seconds
from .cases import cases, is_train, truths
from .cost import cost
from .protocols import Score, score
from .recording import DERIVED, MEASURES, RANGES, Recorder
from .report import as_json, ceilings, full, short
from .scoring import Way, best, halves, ways
from .sheet import sheet

SIDES = (8, 16, 32, 64)  # of a picture, in image tokens


def accuracy(chosen: argparse.Namespace) -> None:
    started, found = time.perf_counter(), cases(chosen.scenes, chosen.seed)
    side = chosen.pixels // TOKEN
    recorder = Recorder(found, chosen.seed, side, chosen.cache)
    coverage, truth, other = truths(found, side)
    recorded = {measure: recorder.maps(measure) for measure in chosen.measures}
    pictures, drawn = recorder.pictures()
    objects = [len(case.named) for case in found]
    sets = halves(truth, other, objects, [is_train(at) for at in range(len(found))], drawn)
    train, test, maps = {}, {}, {}
    for measure, queries in recorded.items():
        for query, each in queries.items():
            for way, values in ways(measure, query, each.numbers, each.double, each.values, tuple(RANGES)):
                train[way], test[way] = (half.scored(values) for half in sets)
                maps[way] = values
    default, ceiling = best(train), sets[1].scored(coverage)
    by_side = {each: score(*truths(found, each)) for each in SIDES}
    about = {"scenes": chosen.scenes, "seed": chosen.seed, "tokens": side**2, "machine": machine()}
    print(f"\n{_about(len(found), truth, drawn)}; {seconds(time.perf_counter() - started)}\n")
    print("## The best of each measure\n\nChosen on half of the scenes, reported on the other half.\n")
    print(f"{short(train, test, ceiling)}\n\n{_default(default, test[default].every, ceiling.every)}\n")
    print(f"## The mask itself, by image tokens\n\n{ceilings(by_side)}\n")
    print(f"## All\n\nThe half that is reported.\n\n{full(test)}")
    if chosen.json:
        data = as_json(about, train, test, ceiling, default, by_side)
        write_whole(chosen.json, json.dumps(data, indent=1).encode())
    if chosen.sheet:
        sheet(found, pictures, truth, maps, train, chosen.sheet)


def _about(count: int, truth: torch.Tensor, drawn: list[bool]) -> str:
    covered, side = 100 * float(truth.float().mean()), truth.shape[-1]
    return (
        f"{count} unseen scenes, {len(truth)} objects, {side} x {side} tokens, of which an object has {covered:.0f} %; "
        f"{100 * sum(drawn) / len(drawn):.0f} % of the objects were drawn in their colour and at their place"
    )


def _default(way: Way, found: Score, ceiling: Score) -> str:
    return (
        f"The default for all prompts, chosen on the first half: **{way.measure}**, named by the {way.query}, blocks "
        f"{way.blocks}, sigma {way.sigmas}. On the other half: IoU **{found.iou:.2f}** (asked: 0.75; the mask itself "
        f"{ceiling.iou:.2f}), ConceptAttention's mIoU **{found.miou:.2f}** (asked: 0.85; the mask itself "
        f"{ceiling.miou:.2f}), without its blur {found.miou_sharp:.2f} ({ceiling.miou_sharp:.2f})."
    )


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench heatmap", description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measures", nargs="+", choices=(every := [*MEASURES, *DERIVED]), default=every)
    parser.add_argument(
        "--pixels", type=int, default=SIZE, help="the pictures' side; the nano model is trained for 128"
    )
    parser.add_argument("--cache", type=Path, default=cache_folder() / "bench-heatmap", help="folder of the maps")
    parser.add_argument("--json", type=Path, help="write all scores here")
    parser.add_argument("--sheet", type=Path, help="write the maps of the first scenes here, as a picture")
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
    say(machine())
    with torch.inference_mode():
        cost(chosen) if chosen.cost else accuracy(chosen)


if __name__ == "__main__":
    main()
