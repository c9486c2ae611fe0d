"""What do T5 weights in the attention cost in a sampling step?

    python dev.py bench weights [--scale small] [--rounds 7] [--steps 4] [--tokens 256 1024 4096]

MMDiT Sampler on blocks as wide as FLUX.1's with random weights: one prompt without weights ("native") and the same
prompt with sixteen weighted tokens ("ours"), in one process, in alternation. The target is a ratio of 1.03.
"""

import argparse

import comfy.model_management
import comfy.utils
import torch

from ..devtools import say
from ..nano import layouts
from ..nodes.condition.controls import Bias, put_controls
from . import step
from .measure import SIDES, Comparison, compared, machine, warn_if_busy

WEIGHTED = {row: 0.5 + 0.1 * row for row in range(16)}


def weighted(prompt: list) -> list:
    """The CONDITIONING with WEIGHTED tokens."""
    ((txt, extras),) = prompt
    weights = torch.ones(1, txt.shape[1])
    for row, weight in WEIGHTED.items():
        weights[0, row] = weight
    return [[txt, put_controls(extras, [Bias(weights.log())])]]


def measured(shape: layouts.Shape, tokens: int, chosen: argparse.Namespace) -> Comparison:
    model, plain = step.model(shape), step.prompt(shape)

    def sampled(positive):
        return step.sampled(model, positive, tokens, chosen.steps)

    calls = dict(zip(SIDES, (lambda: sampled(plain), lambda: sampled(weighted(plain))), strict=True))
    name = f"a step, width {shape.hidden}, {tokens} + {step.TXT_TOKENS} tokens"
    return step.steps_compared(calls, chosen.rounds, chosen.steps, name, same=False)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench weights", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=step.SCALES, default="real", help="real needs 8 GB of memory")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="sampling steps in a round")
    parser.add_argument("--tokens", type=int, nargs="+", default=[256, 1024], help="image tokens")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    comfy.utils.set_progress_bar_enabled(False)
    warn_if_busy()
    shape, results = step.SCALES[chosen.scale], []
    for tokens in chosen.tokens:
        say(f"{tokens} image tokens through {shape.double} double and {shape.single} single blocks ...")
        results.append(measured(shape, tokens, chosen))
        comfy.model_management.unload_all_models()
    print(
        f"\n{machine()}, {chosen.rounds} rounds of {chosen.steps} steps; native: no weights, ours: "
        f"{len(WEIGHTED)} weighted tokens\n"
    )
    print(compared(results))


if __name__ == "__main__":
    main()
