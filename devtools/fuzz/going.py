"""Runs one random input after the other, of each kind in turn. Needs ComfyUI."""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..server import Server
from .figures import Figures
from .files import Files, own_user
from .parsers import PARSERS, parse_one
from .routes import Routes
from .workflows import Workflows

CROWDED = 7  # rounds between bursts of simultaneous requests


def fuzz(server: Server, runner: Server, seed: int, most: int, going: Callable[[Figures], bool]) -> Figures:
    """Runs while `going` returns True, with texts of at most `most` characters; for workflows they are shorter.

    `server` has its routes timed. Workflows are run by `runner`, another one: ComfyUI holds all routes up when it loads
    a model, or looks for garbage afterwards.
    """
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="flux-duet-fuzz-") as scratch, own_user(Path(scratch) / "user"):
        files = Files(figures, Path(scratch))
        with Routes(server, figures) as routes:
            workflows = Workflows(runner, figures, files.stream)
            number = 0
            while going(figures):
                for step in _round(routes, files, workflows, number):
                    step(random.Random(f"{seed} {number}"), most)
                    number += 1
    return figures


Step = Callable[[random.Random, int], None]


def _round(routes: Routes, files: Files, workflows: Workflows, number: int) -> list[Step]:
    """Runs one input of each kind, and as many requests."""
    figures = routes.figures
    parsed = [lambda rng, most, kind=kind: parse_one(figures, kind, rng, most) for kind in PARSERS]
    read = [lambda rng, most, kind=kind: files.read_one(kind, rng, min(most, 20_000)) for kind in files.kinds]
    others = [*parsed, *read, lambda rng, most: workflows.run_one(rng, min(most, 2000))]
    asked = [routes.ask_one] * len(others)
    many = [routes.ask_many] if number // (2 * len(others)) % CROWDED == 0 else []
    return [step for pair in zip(others, asked, strict=True) for step in pair] + many
