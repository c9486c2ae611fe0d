"""`dev.py demo`: the shipped dual-prompt workflow on a real server, from two prompts to a PNG."""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from . import ROOT, SetupError, say
from .client import as_command
from .server import Server

WORKFLOW = ROOT / "workflows" / "api" / "dual_prompt.json"
Prompt = dict[str, dict[str, Any]]


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dev.py demo",
        description="Make a picture from two prompts.",
        epilog="What is not given stays as the workflow has it.",
    )
    parser.add_argument("--clip", metavar="TEXT", help="the prompt for CLIP-L")
    parser.add_argument("--t5", metavar="TEXT", help="the prompt for T5")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--out", type=Path, metavar="FILE", help="the PNG to write; flux-duet-SEED.png unless given")
    parser.add_argument("--workflow", type=Path, default=WORKFLOW, metavar="FILE", help="another API-format workflow")
    return parser.parse_args(argv)


def fill(prompt: Prompt, options: argparse.Namespace) -> Prompt:
    """The workflow with the options set in its nodes."""
    places = [
        ("clip", "FluxDuetClipEncode", "text"),
        ("t5", "FluxDuetT5Encode", "text"),
        ("seed", "FluxDuetSampler", "seed"),
        ("steps", "FluxDuetSampler", "steps"),
    ]
    for option, kind, name in places:
        value = getattr(options, option)
        nodes = [node for node in prompt.values() if node["class_type"] == kind]
        if value is not None and not nodes:
            raise SetupError(f"the workflow has no {kind} node for --{option}; leave --{option} out, or use another")
        for node in nodes if value is not None else []:
            node["inputs"][name] = value
    return prompt


def look_up(prompt: Prompt, kind: str, name: str) -> Any:
    """The value of an input of the first node of this type; None if there is none."""
    return next((node["inputs"].get(name) for node in prompt.values() if node["class_type"] == kind), None)


class Progress:
    """Prints a line per node; on a terminal, with a progress bar."""

    def __init__(self, prompt: Prompt):
        self.prompt, self.title, self.bar = prompt, "", sys.stderr.isatty()

    def __call__(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "executing" and data.get("node") is not None:
            node = self.prompt.get(data.get("display_node") or data["node"], {})
            self.title = node.get("_meta", {}).get("title") or node.get("class_type", "")
            say(f"  {self.title}")
        elif kind == "progress" and self.bar:
            self.draw(data["value"], data["max"])

    def draw(self, value: int, total: int) -> None:
        room = max(10, shutil.get_terminal_size().columns - len(self.title) - 20)
        done = room * value // max(total, 1)
        say(f"\x1b[F\x1b[K  {self.title} [{'#' * done}{'.' * (room - done)}] {value}/{total}")


def load(path: Path) -> Prompt:
    try:
        prompt = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"cannot read the workflow {path}: {error}") from error
    if not all(isinstance(node, dict) and "class_type" in node for node in prompt.values()):
        raise SetupError(f"{path} is not in ComfyUI's API format; use Workflow > Export (API) to save it so")
    return prompt


def picture(prompt: Prompt) -> bytes:
    say("Starting ComfyUI ...")
    with Server() as server:
        result = server.run(prompt, timeout=7200, on_event=Progress(prompt))
    files = [data for files in result.files.values() for data in files]
    if not files:
        raise SetupError("the workflow ended without a picture; it needs a Save Image or Preview Image node")
    return files[0]


def main() -> None:
    options = parse()
    started = time.monotonic()
    prompt = fill(load(options.workflow), options)
    seed = look_up(prompt, "FluxDuetSampler", "seed")
    out = (options.out or Path(f"flux-duet-{0 if seed is None else seed}.png")).resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.part")
    part.write_bytes(picture(prompt))
    os.replace(part, out)
    for stream, kind in (("CLIP", "FluxDuetClipEncode"), ("T5", "FluxDuetT5Encode")):
        say(f"{stream} read: {look_up(prompt, kind, 'text')}")
    say(f"Done after {time.monotonic() - started:.0f} s. The picture:")
    print(out)


if __name__ == "__main__":
    as_command(main)
