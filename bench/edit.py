"""How long after an edit of one prompt is there a new CONDITIONING? Native CLIPTextEncodeFlux against our stages.

    python dev.py bench edit [--scale small] [--visits 2] [--edits 2] [--disk DIR]

Random weights at the real shapes of CLIP-L and T5-XXL, the real server, and its own cache between the runs. Two T5-XXLs
would need 20 GB of memory, so the sides take turns: each visit starts a server, runs the graph once to load and warm
up, then edits. Every edit is timed from the request to ComfyUI's `execution_success`.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ..devtools import ROOT, SetupError, say
from ..devtools.environment import GB, cache_folder
from ..devtools.server import PACK, Server
from ..nano.layouts import Shape
from ..nodes.encode.load import layout
from . import encoder_files
from .measure import SIDES, Comparison, compared, machine, rounds, seconds, table, warn_if_busy

CLIP_L = {"clip_width": 768, "clip_layers": 12}
SCALES = {
    "real": Shape(**CLIP_L, t5_width=4096, t5_layers=24, t5_heads=64, t5_head_width=64, t5_ff=10240),
    # As deep as T5-XXL, because ComfyUI takes a T5's dtype from its file only where there is a 24th block.
    "small": Shape(**CLIP_L, t5_width=512, t5_layers=24, t5_heads=8, t5_head_width=64, t5_ff=1024),
}
EDITS = {"CLIP": ("clip",), "T5": ("t5",), "both": ("clip", "t5")}
PROMPTS = {"clip": "a watercolour, soft light, number {}", "t5": "a red circle to the left of a blue square, number {}"}
TIMEOUT = 3600  # seconds for a prompt: T5-XXL on a slow disk and few cores
SPARE_GB = 3  # memory for ComfyUI, activations and one layer in float32, beside the weights

SIZED_LOADER = {"flux-duet-bench": ROOT / "bench" / "sized_loader"}

Graph = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def dual_loader(files: dict[str, str], scale: str) -> dict[str, Any]:
    pair = {"clip_name1": files["clip_l"], "clip_name2": files["t5xxl"]}
    if scale == "real":
        return node("DualCLIPLoader", **pair, type="flux")
    config = layout.T5.config(encoder_files.shapes(SCALES[scale])["t5xxl"])
    return node("SizedDualCLIPLoader", **pair, t5_config=json.dumps(config))


def native(files: dict[str, str], scale: str, clip: str, t5: str) -> Graph:
    return {
        "DualCLIPLoader": dual_loader(files, scale),
        "CLIPTextEncodeFlux": node("CLIPTextEncodeFlux", clip=["DualCLIPLoader", 0], clip_l=clip, t5xxl=t5,
                                   guidance=3.5),
        "PreviewAny": node("PreviewAny", source=["CLIPTextEncodeFlux", 0]),
    }


def ours(files: dict[str, str], scale: str, clip: str, t5: str) -> Graph:
    return {
        "Load CLIP-L": node("FluxDuetLoadClip", clip_name=files["clip_l"]),
        "Load T5": node("FluxDuetLoadT5", t5_name=files["t5xxl"]),
        "CLIP-L Encode": node("FluxDuetClipEncode", clip=["Load CLIP-L", 0], text=clip),
        "T5 Encode": node("FluxDuetT5Encode", clip=["Load T5", 0], text=t5, length="ComfyUI"),
        "Dual Prompt": node("FluxDuetDualPrompt", vec=["CLIP-L Encode", 0], txt=["T5 Encode", 0], guidance=3.5),
        "PreviewAny": node("PreviewAny", source=["Dual Prompt", 0]),
    }


GRAPHS = dict(zip(SIDES, (native, ours), strict=True))


@dataclass(frozen=True)
class Run:
    """One run of a graph: its time, the nodes that ComfyUI did not take from its cache, the CONDITIONING in print."""

    seconds: float
    ran: tuple[str, ...]
    text: str


def timed(server: Server, graph: Graph) -> Run:
    ended: list[float] = []

    def watch(kind: str, data: dict) -> None:
        if kind == "execution_success":
            ended.append(time.perf_counter())

    started = time.perf_counter()
    result = server.run(graph, timeout=TIMEOUT, on_event=watch)
    return Run(ended[0] - started, tuple(result.executed), result.outputs["PreviewAny"]["text"][0])


def visit(side: str, folder: Path, files: dict[str, str], scale: str, edits: int) -> dict[str, list[Run]]:
    """A server of its own, a first run, then `edits` edits of every kind, each to words not seen before."""
    numbers = dict.fromkeys(PROMPTS, 0)
    runs: dict[str, list[Run]] = {kind: [] for kind in EDITS}
    with Server(packs={PACK: ROOT, **SIZED_LOADER}, model_folders={"text_encoders": folder}) as server:

        def run() -> Run:
            texts = {road: prompt.format(numbers[road]) for road, prompt in PROMPTS.items()}
            return timed(server, GRAPHS[side](files, scale, **texts))

        say(f"  {side}: loaded and ran in {seconds(run().seconds)}")
        for _ in range(edits):
            for kind, roads in EDITS.items():
                for road in roads:
                    numbers[road] += 1
                runs[kind].append(run())
                say(f"  {side}: edited {kind}, {seconds(runs[kind][-1].seconds)}, ran {', '.join(runs[kind][-1].ran)}")
    return runs


def check_room(folder: Path, shape: Shape) -> None:
    need, memory = encoder_files.size(shape), psutil.virtual_memory().available
    if memory < need + SPARE_GB * GB:
        raise SetupError(f"{memory / GB:.1f} GB of memory are free, these encoders need {need / GB + SPARE_GB:.1f}; "
                         "close other programs, or try --scale small")
    if shutil.disk_usage(folder).free < need + GB:
        raise SetupError(f"{folder} has {shutil.disk_usage(folder).free / GB:.1f} GB free, the encoders' files need "
                         f"{need / GB + 1:.1f}; free some, name another folder with --disk, or try --scale small")


def measure(folder: Path, scale: str, visits: int, edits: int) -> dict[str, dict[str, list[Run]]]:
    """runs[side][kind], all visits in one list."""
    say(f"Writing {encoder_files.size(SCALES[scale]) / GB:.2f} GB of random encoders to {folder} ...")
    files = encoder_files.write(folder, SCALES[scale])
    runs = {side: {kind: [] for kind in EDITS} for side in SIDES}
    for number, side in rounds(visits):
        say(f"visit {number + 1} of {visits}, {side} ...")
        for kind, more in visit(side, folder, files, scale, edits).items():
            runs[side][kind] += more
    return runs


def report(runs: dict[str, dict[str, list[Run]]]) -> str:
    """Raises ValueError where the sides did not compute the same, or the cache did not act alike every time."""
    ran = []
    for kind in EDITS:
        if [run.text for run in runs["native"][kind]] != [run.text for run in runs["ours"][kind]]:
            raise ValueError(f"after an edit of {kind} the two sides' CONDITIONINGs differ, so their times say nothing")
        for side in SIDES:
            seen = {run.ran for run in runs[side][kind]}
            if len(seen) > 1:
                raise ValueError(f"{side}: edits of {kind} ran different nodes, expected the same each time: {seen}")
            ran.append([kind, side, ", ".join(*seen)])
    comparisons = [Comparison(f"edit of {kind}", *([run.seconds for run in runs[side][kind]] for side in SIDES))
                   for kind in EDITS]
    return compared(comparisons) + "\n\n" + table(["edited", "side", "nodes that ran"], ran)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench edit", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="real", help="real needs 10 GB of disk and 13 GB of memory")
    parser.add_argument("--visits", type=int, default=2, help="servers started for each side")
    parser.add_argument("--edits", type=int, default=2, help="edits of each kind in a visit")
    parser.add_argument("--disk", type=Path, default=cache_folder(), help="where the weights stand during the run")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    chosen.disk.mkdir(parents=True, exist_ok=True)
    try:
        check_room(chosen.disk, SCALES[chosen.scale])
        warn_if_busy()
        with tempfile.TemporaryDirectory(prefix="bench-", dir=chosen.disk) as folder:
            runs = measure(Path(folder), chosen.scale, chosen.visits, chosen.edits)
    except SetupError as error:
        say(f"error: {error}")
        return 1
    print(f"\n{chosen.scale} shapes, {machine()}, {chosen.visits} x {chosen.edits} edits of each kind\n")
    print(report(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
