"""`dev.py check`: runs every section and writes the report. Needs ComfyUI."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths
import torch
from PIL.Image import Image

from ..devtools import say
from ..devtools.environment import cache_folder
from . import edit, equal, shown, times
from .about import about, hidden, peak_memory
from .kit import Kit, has_cuda
from .models import Models
from .options import parse
from .report import FAILED, Outcome, Report
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


def checked(chosen: argparse.Namespace, sections: list[Section], folder: Path, budget: Budget) -> Report:
    """Runs the sections. The report is written after each: one may take the whole process down."""
    scale = chosen.scale or ("real" if has_cuda() else "small")
    given = {part: name for part, option in GIVEN.items() if (name := getattr(chosen, option))}
    kit = Kit.of(chosen, Models(scale, given, folder))
    known, hide = about(), {**hidden(), str(folder): "RANDOM_MODELS"}

    def report(outcomes: Sequence[Outcome]) -> Report:
        return Report({**known, **settings(kit, chosen, budget)}, outcomes, hide)

    def after(done: list[Outcome], to_come: list[Outcome]) -> None:
        if done[-1].status == FAILED:
            kit.models.free()  # they may be half loaded
        write(report([*done, *to_come]), kit.pages, chosen.out)

    with torch.inference_mode():
        found = report(run_all(sections, kit, budget, say, after))
    write(found, kit.pages, chosen.out)
    return found


def settings(kit: Kit, chosen: argparse.Namespace, budget: Budget) -> dict[str, Any]:
    shape, given = kit.models.shape, ", ".join(kit.models.given.values())
    return {
        "scale": kit.models.scale,
        "model files": given or f"random, {shape.double} + {shape.single} blocks of width {shape.hidden}",
        "image tokens": kit.tokens, "rows of text": kit.rows, "steps in a round": kit.steps, "rounds": kit.rounds,
        "time limit, minutes": chosen.minutes, "took, seconds": round(budget.total - budget.left(), 1),
        "peak main memory": peak_memory(),
    }  # fmt: skip


def write(report: Report, pages: Mapping[str, Image], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        page.save(out / name)
    (out / "report.md").write_text(report.as_markdown(), encoding="utf-8")
    (out / "report.json").write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")


def main() -> int:
    chosen = parse()
    budget = Budget(60 * chosen.minutes, time.monotonic())
    sections = chosen_sections(chosen.only)
    if chosen.list:
        print("\n".join(f"{each.name:28} {each.title}" for each in sections))
        return 0
    comfy.utils.set_progress_bar_enabled(False)
    with own_folders(chosen.disk or cache_folder()) as folder:
        report = checked(chosen, sections, folder, budget)
    print(f"{report.summary()}\nThe report: {chosen.out / 'report.md'}, and as JSON beside it")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
