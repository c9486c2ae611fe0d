"""How long does LoRA Anatomy take for a LoRA of rank 64 at FLUX.1's size (target 5 s)?

    python dev.py bench anatomy [--rank 64] [--rounds 3] [--files 1] [--threads 1] [--dora]

A random LoRA in fp16 for the 304 linear layers of FLUX.1-dev's blocks, written to a temporary folder and read from it
in each round. The model has all of FLUX.1's layers at their real sizes in bf16, but blocks share their weights, so that
it takes 0.7 GB of memory instead of 24. Both files' pages are in memory: a first read from a disk comes on top.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import comfy.latent_formats
import comfy.model_base
import comfy.model_patcher
import comfy.supported_models
import torch
from safetensors.torch import save_file

from ..devtools import say
from ..nodes.flux1_sizes import DOUBLE, HEADS, SINGLE, TXT_WIDTH, VEC_WIDTH
from ..nodes.lora.load import read
from ..nodes.probe.lora.draw import plot
from ..nodes.probe.lora.measure import measure
from ..nodes.probe.lora.reading import as_json, sentence, table
from .measure import machine, warn_if_busy

WIDTH = 3072
CONFIG = {
    "image_model": "flux", "in_channels": 16, "out_channels": 16, "patch_size": 2, "vec_in_dim": VEC_WIDTH,
    "context_in_dim": TXT_WIDTH, "hidden_size": WIDTH, "num_heads": HEADS, "mlp_ratio": 4.0, "depth": DOUBLE,
    "depth_single_blocks": SINGLE, "axes_dim": [16, 56, 56], "theta": 10000, "qkv_bias": True, "guidance_embed": True,
    "txt_ids_dims": [],
}  # fmt: skip


def flux1():
    """A MODEL of FLUX.1-dev's size, with one random tensor for each shape."""
    config = comfy.supported_models.Flux(dict(CONFIG))
    config.set_inference_dtype(torch.bfloat16, None)
    base, shared = comfy.model_base.Flux(config, device=torch.device("meta")), {}
    for module in base.diffusion_model.modules():
        for name, given in list(module._parameters.items()):
            if given is not None:
                if given.shape not in shared:
                    made = torch.randn(given.shape, dtype=torch.bfloat16).mul_(0.02)
                    shared[given.shape] = torch.nn.Parameter(made, requires_grad=False)
                setattr(module, name, shared[given.shape])
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(base, cpu, cpu)


def write_lora(model, rank: int, path: Path, dora: bool = False) -> int:
    """A random LoRA or DoRA of every linear layer in the blocks. Returns their number."""
    tensors, layers = {}, 0
    for name, module in model.model.diffusion_model.named_modules():
        if isinstance(module, torch.nn.Linear) and "_blocks." in name:
            rows, columns = module.weight.shape
            layer, layers = f"diffusion_model.{name}", layers + 1
            tensors[f"{layer}.lora_A.weight"] = (torch.randn(rank, columns) * 0.01).half()
            tensors[f"{layer}.lora_B.weight"] = (torch.randn(rows, rank) * 0.01).half()
            if dora:
                tensors[f"{layer}.dora_scale"] = torch.ones(rows, 1)
    save_file(tensors, path)
    return layers


def timed(model, paths: list[Path]) -> tuple[dict[str, float], str]:
    """(seconds by what they are of, the sentence)."""
    start, worked = time.perf_counter(), time.process_time()
    found = measure([read(path) for path in paths], model, [])
    measured = time.perf_counter()
    text = sentence(*found)
    plot(*found), table(*found), as_json(*found, text)
    end = time.perf_counter()
    return {
        "reading and measuring": measured - start,
        "picture, table, JSON and sentence": end - measured,
        "all, CPU time": time.process_time() - worked,
    }, text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, choices=(1, 2), default=1, help="2: compared with each other")
    parser.add_argument("--threads", type=int, help="of torch; all cores by default")
    parser.add_argument("--dora", action="store_true", help="whose changes are computed densely")
    options = parser.parse_args()
    say(machine())
    warn_if_busy()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = flux1()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        paths = [Path(folder) / f"{number}.safetensors" for number in range(options.files)]
        for path in paths:
            layers = write_lora(model, options.rank, path, options.dora)
            say(f"{layers} layers, rank {options.rank}, {path.stat().st_size / 1e6:.0f} MB")
        found = [timed(model, paths) for _ in range(options.rounds)]
    say(found[0][1])
    for what in found[0][0]:
        each = [times[what] for times, _ in found]
        say(f"{what}: {median(each):.2f} s ({min(each):.2f} to {max(each):.2f})")


if __name__ == "__main__":
    main()
