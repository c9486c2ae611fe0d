"""Parses Prompt Grid's `loras`: a LoRA file and its strength a line. Pure."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...quoting import quoted, shorten
from .choices import NAME, NONE

_ENDINGS = (".safetensors", ".sft", ".pt", ".pt2", ".pth", ".ckpt", ".bin", ".pkl")
_APART = ("", " ", "\t", ":")  # what stands between a file and its strength, "" where there is none


@dataclass(frozen=True)
class LoraLine:
    """A place on the axis of LoRAs. Without a file, and at strength 0, it is the MODEL as it is."""

    file: str | None = None
    strength: float = 0.0

    @property
    def label(self) -> str:
        return "without LoRA" if self.file is None else f"{self.file} {self.strength:g}"

    @property
    def is_active(self) -> bool:
        return self.file is not None and self.strength != 0


def parsed(text: str, files: Sequence[str]) -> list[LoraLine]:
    """The lines of a text in order; `files` are the names in models/loras. Blank lines are skipped.

    Raises ValueError for an unknown file, for a strength that is no number, and for two lines of the same pictures.
    """
    found: list[LoraLine] = []
    numbers: dict[LoraLine, int] = {}
    for number, text_line in enumerate(text.split("\n"), 1):
        if not text_line.strip():
            continue
        line = _line(text_line.strip(), number, files)
        same = line if line.is_active else LoraLine()
        if same in numbers:
            raise ValueError(
                f"{NAME}: line {number} of `loras` ({shorten(line.label, 80)}) gives the same pictures as line "
                f"{numbers[same]}. They would count twice: remove one of them."
            )
        numbers[same] = number
        found.append(line)
    return found


def _line(text: str, number: int, files: Sequence[str]) -> LoraLine:
    if text.lower() == NONE:
        return LoraLine()
    plain = text.replace("\\", "/")  # on Windows ComfyUI lists folders with backslashes
    names = {file.replace("\\", "/"): file for file in files}
    known = [name for name in names if plain.startswith(name) and plain[len(name) : len(name) + 1] in _APART]
    if not known:
        raise ValueError(_no_file(text, number, files))
    name = max(known, key=len)
    rest = plain[len(name) :].strip(": \t")
    try:
        strength = float(rest) if rest else 1.0
    except ValueError:
        strength = math.nan
    if not math.isfinite(strength):
        raise ValueError(
            f"{NAME}: line {number} of `loras` has {shorten(repr(rest), 60)} after {shorten(name, 80)}, expected one "
            f"number, its strength, as in: {shorten(name, 80)} 0.8"
        )
    return LoraLine(names[name], strength)


def _no_file(text: str, number: int, files: Sequence[str]) -> str:
    end = max(text.rfind(each) for each in _APART[1:])
    name = text if text.endswith(_ENDINGS) else text[: max(end, 0)].rstrip(": \t") or text
    what = f"{NAME}: line {number} of `loras`: there is no {shorten(repr(name), 100)} in models/loras"
    if not files:
        return f"{what}, which is empty. Put LoRA files there."
    stems = {_stem(file): file for file in files}
    near = [stems[stem] for stem in difflib.get_close_matches(_stem(name), stems, 3, 0.5)]
    told = f" Near names: {quoted(near, 100, 3)}." if near else ""
    return (
        f"{what}.{told} There: {quoted(list(files), 60, 5)}. A line is a file and its strength, or {NONE} for the "
        "pictures without LoRA."
    )


def _stem(file: str) -> str:
    """A file's name without its folder and ending, which would make all names alike."""
    name = file.replace("\\", "/").rsplit("/", 1)[-1].lower()
    return next((name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)), name)
