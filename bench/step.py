"""What does the pack cost in a sampling step and in ComfyUI's start, where it should cost almost nothing?

    python dev.py bench step [--scale small] [--rounds 7] [--steps 4] [--tokens 256] [--starts 9]

Compares MMDiT Sampler with KSampler on blocks as wide as FLUX.1's with random weights, in one process, in alternation,
on the same seed; their latents must be equal. The targets are a ratio of 1.01 and 50 ms for the start.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from statistics import median

import comfy.sd
import comfy.utils
import torch

import nodes

from ..devtools import ROOT, say
from ..nano import layouts
from ..nodes.flux1_sizes import PATCH
from ..nodes.sample.nodes import MMDiTSampler
from .measure import SIDES, Comparison, compared, machine, rounds, seconds, table, warn_if_busy

# Only the transformer is measured, so the text encoders are as small as its input widths allow.
SCALES = {
    "real": layouts.Shape(hidden=3072, double=1, single=2, clip_width=768, clip_layers=1, t5_width=4096, t5_layers=0),
    "small": layouts.Shape(),
}
TXT_TOKENS = 256


def model(shape: layouts.Shape):
    """A MODEL as UNETLoader gives it."""
    return comfy.sd.load_diffusion_model_state_dict(layouts.random_state_dicts(shape)["flux"])


def prompt(shape: layouts.Shape) -> list:
    generator = torch.Generator().manual_seed(0)
    txt = torch.randn(1, TXT_TOKENS, shape.t5_width, generator=generator)
    return [[txt, {"pooled_output": torch.randn(1, shape.clip_width, generator=generator), "guidance": 3.5}]]


def empty(tokens: int) -> dict:
    """A LATENT of this many image tokens."""
    side = PATCH * math.isqrt(tokens)
    return {"samples": torch.zeros(1, layouts.LATENT_CHANNELS, side, side)}


def sampled(flux, positive: list, tokens: int, steps: int, **guided) -> dict:
    """MMDiT Sampler's LATENT; `guided` may set `negative` and `cfg`."""
    plan = {"seed": 0, "steps": steps, "sampler": "euler", "scheduler": "simple"}
    return MMDiTSampler.execute(model=flux, positive=positive, latent=empty(tokens), **plan, **guided).result[0]


def samplers(shape: layouts.Shape, tokens: int, steps: int) -> dict:
    """A function for each side, with the same inputs, that returns the sampled LATENT."""
    flux, positive, latent = model(shape), prompt(shape), empty(tokens)

    def native():
        return nodes.KSampler().sample(flux, 0, steps, 1.0, "euler", "simple", positive, positive, latent)[0]

    return dict(zip(SIDES, (native, lambda: sampled(flux, positive, tokens, steps)), strict=True))


def steps_compared(calls: dict, count: int, steps: int, name: str, same: bool = True) -> Comparison:
    """Seconds per step of both sides. Raises ValueError unless their latents are equal (`same`), or differ."""
    latents = {side: call()["samples"] for side, call in calls.items()}  # also warms up
    if torch.equal(latents["native"], latents["ours"]) != same:
        found = "differ" if same else "are equal"
        raise ValueError(f"the two sides' latents {found}, so their times cannot be compared")
    taken = {side: [] for side in SIDES}
    for number, side in rounds(count):
        started = time.perf_counter()
        calls[side]()
        taken[side].append((time.perf_counter() - started) / steps)
        say(f"  round {number + 1} of {count}, {side}: {seconds(taken[side][-1])} per step")
    return Comparison(name, **taken)


def starts(count: int) -> list[dict]:
    """What bench.start says in fresh processes.

    The first compiles the pack to bytecode and does not count. The others find it in a folder of their own, whatever
    this process was told to do about bytecode: a user's ComfyUI keeps it.
    """
    told = []
    with tempfile.TemporaryDirectory() as folder:
        variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}
        for number in range(count + 1):
            done = subprocess.run(
                [sys.executable, str(ROOT / "devtools" / "inside.py"), "bench.start"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                check=True,
                env=variables,
            )
            told.append(json.loads(done.stdout.splitlines()[-1]))
            say(f"  start {number} of {count}: {seconds(told[-1]['seconds'])}, CPU {seconds(told[-1]['cpu'])}")
    return told[1:]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench step", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="real", help="real needs 8 GB of memory")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="sampling steps in a round")
    parser.add_argument("--tokens", type=int, default=256, help="image tokens: 256, 1024, 4096, ...")
    parser.add_argument("--starts", type=int, default=9, help="fresh processes to load the pack in")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    shape = SCALES[chosen.scale]
    comfy.utils.set_progress_bar_enabled(False)
    warn_if_busy()
    say(f"Loading the pack in {chosen.starts} fresh processes ...")
    told = starts(chosen.starts)
    say(f"Sampling with {shape.double} double and {shape.single} single blocks of width {shape.hidden} ...")
    calls = samplers(shape, chosen.tokens, chosen.steps)
    step = steps_compared(calls, chosen.rounds, chosen.steps, f"a step, width {shape.hidden}, {chosen.tokens} tokens")
    print(f"\n{machine()}, {chosen.rounds} rounds of {chosen.steps} steps\n\n{compared([step])}\n")
    modules = ", ".join(told[0]["modules"]) or "none"
    rows = []
    for name, key in (("in all", "seconds"), ("CPU time", "cpu")):
        times = [each[key] for each in told]
        rows.append([f"the pack adds, {name}", *(seconds(pick(times)) for pick in (median, min, max)), modules])
    print(table(["ComfyUI's start", "median", "fastest", "slowest", "modules imported for the pack alone"], rows))


if __name__ == "__main__":
    main()
