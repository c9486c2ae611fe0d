"""python dev.py fuzz: random input for some minutes, then the figures; exits with 1 if there were faults."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from ...nano import layouts
from .. import say
from ..server import Server
from .going import fuzz


def main() -> int:
    options = argparse.ArgumentParser(prog="dev.py fuzz")
    options.add_argument("--minutes", type=float, default=1)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="flux-duet-models-") as models:
        layouts.save(Path(models))
        folders = {folder.name: folder for folder in Path(models).iterdir()}
        with Server(model_folders={}) as server, Server(model_folders=folders) as runner:
            end = time.monotonic() + 60 * given.minutes
            figures = fuzz(server, runner, given.seed, 100_000, lambda _: time.monotonic() < end)
    say(f"seed {given.seed}, {given.minutes:g} minutes")
    for line in figures.lines():
        say(line)
    return 0 if figures.held else 1


if __name__ == "__main__":
    sys.exit(main())
