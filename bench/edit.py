"""How long after an edit of one prompt is there a new CONDITIONING? Native CLIPTextEncodeFlux and our stages.

    python dev.py bench edit [--scale small] [--visits 2] [--edits 2] [--disk DIR]

Random weights of the real shapes of CLIP-L and T5-XXL, on the real server with its own cache between runs. Two T5-XXLs
would need 20 GB of memory, so the sides alternate: each visit starts a server, runs the graph once to load and warm
up, then edits. Every edit is timed from the request to ComfyUI's `execution_success`.

The embedding store does not save any encoding: each server has an empty one, and each edit has new words. Our side
includes the time to store each encoding; hashing the encoders' files, which is done once, is part of the warm-up run.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from ..devtools import SetupError, say
from ..devtools.environment import cache_folder
from .encoder_files import SCALES, Encoders, written
from .graphs import GRAPHS, Run, server, timed
from .measure import SIDES, Comparison, compared, machine, rounds, seconds, table, warn_if_busy

EDITS = {"CLIP": ("clip",), "T5": ("t5",), "both": ("clip", "t5")}
PROMPTS = {"clip": "a watercolour, soft light, number {}", "t5": "a red circle to the left of a blue square, number {}"}


def edited(edits: int) -> Iterator[tuple[str, dict[str, str]]]:
    """(what is edited, both texts after the edit), `edits` times for each kind; each edit has new words."""
    numbers = dict.fromkeys(PROMPTS, 0)
    for _ in range(edits):
        for kind, streams in EDITS.items():
            for stream in streams:
                numbers[stream] += 1
            yield kind, texts(numbers)


def texts(numbers: dict[str, int]) -> dict[str, str]:
    return {stream: prompt.format(numbers[stream]) for stream, prompt in PROMPTS.items()}


def visit(side: str, encoders: Encoders, edits: int) -> dict[str, list[Run]]:
    """Starts a server, runs the graph once, then edits; the edits' runs by kind."""
    runs: dict[str, list[Run]] = {kind: [] for kind in EDITS}
    with server(encoders) as started:
        first = timed(started, GRAPHS[side](encoders, **texts(dict.fromkeys(PROMPTS, 0))))
        say(f"  {side}: loaded and ran in {seconds(first.seconds)}")
        for kind, prompts in edited(edits):
            run = timed(started, GRAPHS[side](encoders, **prompts))
            runs[kind].append(run)
            say(f"  {side}: edited {kind}, {seconds(run.seconds)}, ran {', '.join(run.ran)}")
    return runs


def measure(encoders: Encoders, visits: int, edits: int) -> dict[str, dict[str, list[Run]]]:
    """runs[side][kind], all visits in one list."""
    runs = {side: {kind: [] for kind in EDITS} for side in SIDES}
    for number, side in rounds(visits):
        say(f"visit {number + 1} of {visits}, {side} ...")
        for kind, more in visit(side, encoders, edits).items():
            runs[side][kind] += more
    return runs


def report(runs: dict[str, dict[str, list[Run]]]) -> str:
    """The tables. Raises ValueError if the sides' results differ, or edits of a kind ran different nodes."""
    ran = []
    for kind in EDITS:
        if [run.text for run in runs["native"][kind]] != [run.text for run in runs["ours"][kind]]:
            raise ValueError(f"after an edit of {kind} the two sides' CONDITIONINGs differ, expected equal ones")
        for side in SIDES:
            seen = {run.ran for run in runs[side][kind]}
            if len(seen) > 1:
                raise ValueError(f"{side}: edits of {kind} ran different nodes, expected the same each time: {seen}")
            ran.append([kind, side, ", ".join(*seen)])
    comparisons = [
        Comparison(f"edit of {kind}", *([run.seconds for run in runs[side][kind]] for side in SIDES)) for kind in EDITS
    ]
    return compared(comparisons) + "\n\n" + table(["edited", "side", "nodes that ran"], ran)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench edit", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="real", help="real needs 10 GB of disk and 13 GB of memory")
    parser.add_argument("--visits", type=int, default=2, help="servers started for each side")
    parser.add_argument("--edits", type=int, default=2, help="edits of each kind in a visit")
    parser.add_argument("--disk", type=Path, default=cache_folder(), help="where the weights are stored during the run")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    warn_if_busy()
    try:
        with written(chosen.disk, chosen.scale) as encoders:
            runs = measure(encoders, chosen.visits, chosen.edits)
    except SetupError as error:
        say(f"error: {error}")
        return 1
    print(f"\n{chosen.scale} shapes, {machine()}, {chosen.visits} x {chosen.edits} edits of each kind\n")
    print(report(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
