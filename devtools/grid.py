"""`dev.py grid WORKFLOW.json --ray ADDRESS`: grids, sweeps and studies on Ray workers, without a display."""

import argparse
import os
import shlex
import time
from pathlib import Path
from typing import Any

from . import SetupError, say
from .client import RunResult, as_command
from .demo import Prompt, load
from .server import PACK, Server

KINDS = ("FluxDuetGrid", "FluxDuetSweep", "FluxDuetStudy")
WORKERS, SHOWN = "flux_duet_workers", "flux_duet_shown"  # ids of the nodes that are added
# The outputs of each kind that are written: its number, and the file's ending.
JSON_OUTPUT = {"FluxDuetGrid": 3, "FluxDuetSweep": 3, "FluxDuetStudy": 2}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py grid", description=__doc__.split(": ", 1)[1])
    parser.add_argument("workflow", type=Path, metavar="WORKFLOW.json", help="in ComfyUI's API format")
    parser.add_argument("--ray", metavar="ADDRESS", default="local", help="local (the default), auto, or host:port")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="workers; 0 for as many as there is room for")
    parser.add_argument("--gpus", type=float, default=1.0, metavar="N", help="GPUs of each worker; 0 for the CPU")
    parser.add_argument("--comfyui", default="", metavar="DIR", help="ComfyUI on the workers; by default as here")
    parser.add_argument("--arguments", metavar="TEXT", help="ComfyUI's command-line arguments on the workers")
    parser.add_argument("--models", type=Path, metavar="DIR", help="a folder of models besides ComfyUI's own")
    parser.add_argument("--out", type=Path, default=Path("flux-duet-grid"), metavar="DIR", help="for pictures and JSON")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where finished cells are kept; else the cache")
    return parser.parse_args(argv)


def on_workers(prompt: Prompt, options: argparse.Namespace, arguments: str) -> Prompt:
    """The workflow with its grids, sweeps and studies connected to workers. Raises SetupError if it has none."""
    found = [id for id, node in prompt.items() if node["class_type"] in KINDS]
    if not found:
        raise SetupError("the workflow has no Prompt Grid, Switch Sweep or Influence Study, so nothing for workers")
    inputs = {"address": options.ray, "count": options.count, "gpus": options.gpus, "comfyui": options.comfyui,
              "arguments": arguments}  # fmt: skip
    added = {WORKERS: {"class_type": "FluxDuetRay", "inputs": inputs}}
    for id in found:
        prompt[id]["inputs"]["workers"] = [WORKERS, 0]
        source = [id, JSON_OUTPUT[prompt[id]["class_type"]]]
        added[f"{SHOWN}_{id}"] = {"class_type": "PreviewAny", "inputs": {"source": source}}
    return {**prompt, **added}


class Progress:
    """Prints what nodes say, when it changes."""

    def __init__(self):
        self.last = ""

    def __call__(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "progress" and data["max"]:
            text = f"  {data['value']} of {data['max']}"
            if text != self.last:
                say(text)
                self.last = text


def write(result: RunResult, folder: Path) -> list[Path]:
    """Writes the pictures and the numbers of a run; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for id, pictures in result.files.items():
        for number, data in enumerate(pictures):
            files.append(folder / f"{id}_{number}.png")
            files[-1].write_bytes(data)
    for id, output in result.outputs.items():
        if id.startswith(SHOWN):
            files.append(folder / f"{id.removeprefix(SHOWN + '_')}.json")
            files[-1].write_text("".join(output["text"]), encoding="utf-8")
    return files


def main() -> None:
    options = parse()
    started = time.monotonic()
    prompt = load(options.workflow)
    models = {each.name: each for each in sorted(options.models.iterdir()) if each.is_dir()} if options.models else {}
    base = options.keep or Path(os.environ.get("FLUX_DUET_CACHE", Path.home() / ".cache" / "flux-duet")) / "grids"
    server = Server(base=base, model_folders=models)
    # Workers of a Ray that runs on this machine already: they find the pack and the models as this server does; those
    # of a Ray of our own start as it did.
    own = ["--extra-model-paths-config", str(server.scratch / "extra_model_paths.yaml"), "--disable-api-nodes",
           "--disable-all-custom-nodes", "--whitelist-custom-nodes", PACK]  # fmt: skip
    usual = "" if options.ray == "local" else shlex.join(own)
    arguments = usual if options.arguments is None else options.arguments
    say(f"Starting ComfyUI; finished cells are kept in {base} ...")
    with server:
        result = server.run(on_workers(prompt, options, arguments), timeout=30 * 86400, on_event=Progress())
    for path in write(result, options.out):
        print(path)
    say(f"Done after {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    as_command(main)
