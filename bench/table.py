"""What does the modulation table save at each step: weights read, memory touched, memory on the device?

    python dev.py bench table [--scale small] [--rounds 3] [--steps 4] [--tokens 64]

Samples with blocks as wide as FLUX.1's, in its proportion of double and single ones, with and without a table, on the
same seed; their latents must be equal. Weights read are counted, memory touched is measured by Linux (the pages that a
step has used). What is on the device at FLUX.1-dev's full size is computed by ComfyUI's own loader, without values.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import comfy.utils
import torch
from comfy import supported_models
from comfy.model_patcher import ModelPatcher
from torch.utils._python_dispatch import TorchDispatchMode

from ..devtools import say
from ..nano import layouts
from ..nodes.compat import modulation
from ..nodes.compat.offloading import keeping_offloaded
from ..nodes.flux1_sizes import DOUBLE, SINGLE
from ..nodes.sample.nodes import ModulationTable
from .measure import SIDES, Comparison, compared, machine, size, warn_if_busy
from .step import model, prompt, sampled, steps_compared

SCALES = {
    "real": layouts.Shape(hidden=3072, double=1, single=2, clip_width=768, clip_layers=1, t5_width=4096, t5_layers=0),
    "small": layouts.Shape(hidden=256, double=2, single=4),
}
MAIN = torch.device("cpu")
PAGES = Path("/proc/self/smaps_rollup"), Path("/proc/self/clear_refs")


class Reads(TorchDispatchMode):
    """The bytes of a model's weights that operations are given."""

    def __init__(self, flux: torch.nn.Module):
        super().__init__()
        self.weights = {each.data_ptr(): each.nbytes for each in flux.parameters()}
        self.found: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for each in args:
            if isinstance(each, torch.Tensor) and each.data_ptr() in self.weights:
                self.found.add(each.data_ptr())
        return func(*args, **(kwargs or {}))

    def taken(self) -> int:
        """The bytes since the last call."""
        found, self.found = self.found, set()
        return sum(self.weights[each] for each in found)


def each_step(flux, tokens: int, steps: int, positive: list, note: Callable[[], int]) -> list[int]:
    """What `note` says after each step of a run."""
    found: list[int] = []
    watched = flux.clone()

    def after(args):
        found.append(note())
        return args["denoised"]

    watched.set_model_sampler_post_cfg_function(after)
    sampled(watched, positive, tokens, steps)
    return found


def touched() -> int:
    """The bytes of memory pages that were used since the last call."""
    lines = PAGES[0].read_text("ascii").splitlines()
    found = next(int(line.split()[1]) for line in lines if line.startswith("Referenced"))
    PAGES[1].write_text("1", "ascii")
    return 1024 * found


@contextmanager
def counting(flux) -> Iterator[Callable[[], int]]:
    with Reads(flux.model.diffusion_model) as reads:
        yield reads.taken


@contextmanager
def measuring(flux) -> Iterator[Callable[[], int]]:
    touched()
    yield touched


def after_the_first(flux, sides: dict, tokens: int, steps: int, positive: list, way: Callable, name: str) -> Comparison:
    """Both sides' bytes at each step but the first."""
    found = {}
    for side in SIDES:
        with way(flux) as note:
            found[side] = each_step(sides[side], tokens, steps, positive, note)[1:]
    return Comparison(name, **found, as_text=size)


def on_the_device(dtype: torch.dtype) -> Comparison:
    """The bytes that ComfyUI loads of FLUX.1-dev at its full size, natively and with the layers kept offloaded."""
    config = supported_models.Flux({**FULL, "image_model": "flux"})
    config.set_inference_dtype(dtype, torch.bfloat16)
    device, loaded = torch.device("meta"), {}
    for side in SIDES:
        base = config.get_model({}, device=MAIN)  # its weights are never written, so they take no memory
        patcher = ModelPatcher(base, device, MAIN)
        if side == "ours":
            patcher = keeping_offloaded(patcher, [each.lin for each in modulation.layers(base.diffusion_model)])
        patcher.partially_load(device, 1e32)
        loaded[side] = [patcher.loaded_size()]
    return Comparison(
        f"weights on the device, FLUX.1-dev in {str(dtype).removeprefix('torch.')}", **loaded, as_text=size
    )


# As ComfyUI finds them in FLUX.1-dev's file.
FULL = {"in_channels": 16, "out_channels": 16, "patch_size": 2, "vec_in_dim": 768, "context_in_dim": 4096,
        "hidden_size": 3072, "mlp_ratio": 4.0, "num_heads": 24, "depth": DOUBLE, "depth_single_blocks": SINGLE,
        "axes_dim": [16, 56, 56], "theta": 10000, "qkv_bias": True, "guidance_embed": True,
        "txt_ids_dims": []}  # fmt: skip


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench table", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="real", help="real needs 8 GB of memory")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="sampling steps in a round")
    parser.add_argument("--tokens", type=int, default=64, help="image tokens: 16, 64, 256, ...")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    shape = SCALES[chosen.scale]
    comfy.utils.set_progress_bar_enabled(False)
    warn_if_busy()
    say(f"Sampling with {shape.double} double and {shape.single} single blocks of width {shape.hidden} ...")
    flux, positive = model(shape), prompt(shape)
    sides = dict(zip(SIDES, (flux, ModulationTable.execute(flux)[0]), strict=True))
    given = chosen.tokens, chosen.steps, positive
    found = [after_the_first(flux, sides, *given, counting, "weights read in a step")]
    if all(each.exists() for each in PAGES):
        found.append(after_the_first(flux, sides, *given, measuring, "memory touched in a step"))
    calls = {
        side: lambda each=each: sampled(each, positive, chosen.tokens, chosen.steps) for side, each in sides.items()
    }
    times = steps_compared(calls, chosen.rounds, chosen.steps, f"a step, table built in each run of {chosen.steps}")
    found += [times, *(on_the_device(dtype) for dtype in (torch.bfloat16, torch.float8_e4m3fn))]
    print(f"\n{machine()}, {chosen.rounds} rounds of {chosen.steps} steps\n\n{compared(found)}\n")


if __name__ == "__main__":
    main()
