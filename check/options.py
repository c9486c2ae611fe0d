"""The command line of `dev.py check`. Standard library only."""

import argparse
from pathlib import Path

SCALES = ("real", "small")
OUT = Path("flux-duet-check")
DESCRIPTION = """Compare the pack with ComfyUI's native nodes on this machine and write a report fit for an issue.

With your own model files, or without any: then random weights are written to a temporary folder, at FLUX.1-dev's real
size (22 GB) or small ones. Nothing is downloaded, and nothing is written into your ComfyUI. The report is written as
Markdown and as JSON. The exit status is 1 if anything failed or was not equal bit for bit."""
EPILOG = """On a machine without a network, with a Python that has torch and ComfyUI's requirements:
  python dev.py check --comfy-path DIR --python PATH"""


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="dev.py check",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--scale", choices=SCALES, help="size of the random models: real on a GPU, else small")
    files = found.add_argument_group("your own models", "file names in ComfyUI's model folders; the others are random")
    files.add_argument("--unet", metavar="NAME", help="a FLUX.1 in diffusion_models")
    files.add_argument("--clip", metavar="NAME", help="CLIP-L in text_encoders")
    files.add_argument("--t5", metavar="NAME", help="T5-XXL in text_encoders")
    files.add_argument("--vae", metavar="NAME", help="the autoencoder in vae")
    found.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"where the report goes; ./{OUT}")
    found.add_argument("--disk", type=Path, metavar="DIR", help="where random models are stored during the run")
    found.add_argument("--minutes", type=float, default=9, help="time limit; what would exceed it is not run; 9")
    found.add_argument("--only", nargs="+", metavar="NAME", help="these sections alone, such as encode or sampler")
    found.add_argument("--list", action="store_true", help="print the names of the sections")
    found.add_argument("--tokens", type=int, help="image tokens, a square number; 4096 on a GPU, else 64")
    found.add_argument("--rows", type=int, help="rows of a T5 prompt, at least 32; 256 on a GPU, else 64")
    found.add_argument("--rounds", type=int, default=3, help="times that both sides are measured; 3")
    found.add_argument("--steps", type=int, default=2, help="sampling steps in a round, at least 2; 2")
    return found


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    found = parser()
    chosen = found.parse_args(argv)
    if chosen.steps < 2:
        found.error(f"--steps is {chosen.steps}, expected at least 2, since prompts change during a run")
    if chosen.rows is not None and chosen.rows < 32:
        found.error(f"--rows is {chosen.rows}, expected at least 32, for a prompt with words")
    return chosen
