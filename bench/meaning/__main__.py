"""Do the controls have their intended effect on the nano models?

    python dev.py bench meaning [--pictures 10] [--seed 0] [--only regions switch clip nag blend] [--sheets FOLDER]

Each control gets scenes that are not in the training data (nano/scenes/scene.py, `unseen`), sampled in 12 steps and
read back as in bench/nano.py. Every row has --pictures pictures, on the same noise.
"""

import argparse
import time
from pathlib import Path

import comfy.utils
import torch

from ...devtools import say
from ...nano.pipeline import GUIDANCE, STEPS
from ..measure import machine, seconds
from .blends import blends
from .clip_negative import clip_negatives
from .regions import regions
from .studio import Studio
from .switches import switches
from .t5_negative import t5_negatives

PARTS = {"regions": regions, "switch": switches, "clip": clip_negatives, "nag": t5_negatives, "blend": blends}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench meaning", description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10, help="for each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these controls alone")
    parser.add_argument("--sheets", type=Path, help="write the first ten pictures of each row into this folder")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    comfy.utils.set_progress_bar_enabled(False)
    if chosen.sheets:
        chosen.sheets.mkdir(parents=True, exist_ok=True)
    started, tables = time.perf_counter(), []
    with torch.inference_mode():  # as ComfyUI runs every node
        studio = Studio(chosen.pictures, chosen.seed, chosen.sheets)
        for name in chosen.only:
            say(f"{name} ...")
            tables += PARTS[name](studio)
    print(
        f"\n{machine()}; {chosen.pictures} pictures for each row, {STEPS} steps, guidance {GUIDANCE}, percent; "
        f"{seconds(time.perf_counter() - started)}\n"
    )
    print("\n".join(map(str, tables)))


if __name__ == "__main__":
    main()
