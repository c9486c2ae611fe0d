"""`dev.py check`: runs every section and writes the report. Needs ComfyUI."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import comfy.utils
import folder_paths
import torch
from PIL.Image import Image

from ..devtools import say
from ..devtools.environment import cache_folder
from . import edit, equal, shown, times
from .about import about, hidden, peak_memory
from .kit import Kit, has_cuda
from .models import SHAPES, Models
from .options import parse
from .report import Report
from .sections import Budget, Section, run_all

GIVEN = {"flux": "unet", "clip_l": "clip", "t5xxl": "t5", "ae": "vae"}  # parts, by the options that name their files


def all_sections() -> list[Section]:
    """In the order of importance, as far as that does not load a model twice."""
    samplers, (decode, encode) = equal.sections()[:-2], equal.sections()[-2:]
    edited, cold = edit.sections()
    first, *others = samplers
    neutral, *costs = times.sections()
    limited, *more_limited = times.limited_sections()
    return [encode, edited, first, neutral, decode, *others, *costs, *shown.sections(), limited, cold, *more_limited]


def chosen_sections(only: list[str] | None) -> list[Section]:
    """All sections, or those named; a name stands for all that begin with it. Raises SystemExit for an unknown one."""
    found = all_sections()
    for name in only or []:
        if not any(named(section, name) for section in found):
            raise SystemExit(f"error: there is no section {name}; choose from {', '.join(each.name for each in found)}")
    return [each for each in found if not only or any(named(each, name) for name in only)]


def named(section: Section, name: str) -> bool:
    return section.name == name or section.name.startswith(f"{name}.")


@contextlib.contextmanager
def own_folders(disk: Path) -> Iterator[Path]:
    """A temporary folder for models, which is also ComfyUI's user, output and temp folder in this process."""
    disk.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="check-", dir=disk, ignore_cleanup_errors=True) as name:
        folder_paths.set_user_directory(f"{name}/user")
        folder_paths.set_output_directory(f"{name}/output")
        folder_paths.set_temp_directory(f"{name}/temp")
        yield Path(name)


def checked(chosen: argparse.Namespace, folder: Path, budget: Budget) -> tuple[Report, dict[str, Image]]:
    """The report, and the pages that belong to it."""
    scale = chosen.scale or ("real" if has_cuda() else "small")
    given = {part: name for part, option in GIVEN.items() if (name := getattr(chosen, option))}
    kit = Kit.of(chosen, Models(scale, given, folder))
    with torch.inference_mode():
        outcomes = run_all(chosen_sections(chosen.only), kit, budget, say)
    settings = {
        "scale": scale, "model files": ", ".join(given.values()) or f"random, {SHAPES[scale].double} + "
        f"{SHAPES[scale].single} blocks of width {SHAPES[scale].hidden}", "image tokens": kit.tokens,
        "rows of text": kit.rows, "steps in a round": kit.steps, "rounds": kit.rounds,
        "time limit, minutes": chosen.minutes, "took, seconds": round(budget.total - budget.left(), 1),
        "peak main memory": peak_memory(),
    }  # fmt: skip
    return Report({**about(), **settings}, outcomes, {**hidden(), str(folder): "RANDOM_MODELS"}), kit.pages


def write(report: Report, pages: dict[str, Image], out: Path) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        page.save(out / name)
    texts = {"report.md": report.as_markdown(), "report.json": json.dumps(report.as_json(), indent=1) + "\n"}
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return [out / name for name in texts]


def main() -> int:
    chosen = parse()
    budget = Budget(60 * chosen.minutes, time.monotonic())
    sections = chosen_sections(chosen.only)
    if chosen.list:
        print("\n".join(f"{each.name:28} {each.title}" for each in sections))
        return 0
    comfy.utils.set_progress_bar_enabled(False)
    with own_folders(chosen.disk or cache_folder()) as folder:
        report, pages = checked(chosen, folder, budget)
    paths = write(report, pages, chosen.out)
    print(f"{report.summary()}\n{' and '.join(map(str, paths))}")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
