"""How long after an edit of one prompt is there a new CONDITIONING? Native CLIPTextEncodeFlux against our stages.

    python dev.py bench edit [--scale small] [--visits 2] [--edits 2] [--disk DIR]

Random weights at the real shapes of CLIP-L and T5-XXL, the real server, and its own cache between the runs. Two T5-XXLs
would need 20 GB of memory, so the sides take turns: each visit starts a server, runs the graph once to load and warm
up, then edits. Every edit is timed from the request to ComfyUI's `execution_success`.

The embedding store spares no edit its encoding: each server has an empty one of its own, and each edit new words. Ours
pays for keeping every edit there; hashing the encoders' files, which is done once, falls into the run that warms up.
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
    """What was edited and both texts after it: words that were not there before, `edits` times for every kind."""
    numbers = dict.fromkeys(PROMPTS, 0)
    for _ in range(edits):
        for kind, streams in EDITS.items():
            for stream in streams:
                numbers[stream] += 1
            yield kind, texts(numbers)


def texts(numbers: dict[str, int]) -> dict[str, str]:
    return {stream: prompt.format(numbers[stream]) for stream, prompt in PROMPTS.items()}


def visit(side: str, encoders: Encoders, edits: int) -> dict[str, list[Run]]:
    """A server of its own, a first run, then the edits."""
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
    comparisons = [
        Comparison(f"edit of {kind}", *([run.seconds for run in runs[side][kind]] for side in SIDES)) for kind in EDITS
    ]
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
