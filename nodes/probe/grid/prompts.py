"""Lists of prompts from text: one a line, or several lines each between lines of `---`. Pure."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from ...disk.given_file import read_given

RULE, EMPTY = "---", '""'
MOST_BYTES = 10**6  # of a file of prompts


def listed(text: str) -> list[str]:
    """The prompts of a text, each once, in its order. A line of two quotation marks is the empty prompt.

    Where any line is `---`, those lines separate the prompts, which may then have many lines; otherwise each line is a
    prompt, and lines without anything are left out.
    """
    lines = [line.strip() for line in text.split("\n")]
    prompts = _blocks(lines) if RULE in lines else lines
    return [*dict.fromkeys("" if prompt == EMPTY else prompt for prompt in prompts if prompt)]


def _blocks(lines: list[str]) -> list[str]:
    """What stands between lines of `---`."""
    parted = groupby(lines, key=RULE.__eq__)
    return ["\n".join(block).strip() for is_rule, block in parted if not is_rule]


def gathered(stream: str, text: str, file: Path | None) -> list[str]:
    """The prompts of a widget, and then those of a file. Raises ValueError where there is none, or no text."""
    prompts = [*dict.fromkeys([*listed(text), *(listed(_read(stream, file)) if file else [])])]
    if not prompts:
        raise ValueError(
            f"Prompt Grid: got no {stream} prompt, expected one a line. For the empty prompt write a line of {EMPTY}."
        )
    return prompts


def _read(stream: str, file: Path) -> str:
    try:
        return read_given(file, MOST_BYTES).decode("utf-8-sig")
    except ValueError as error:
        raise ValueError(
            f"Prompt Grid: {file.name} cannot be read for {stream} prompts ({error}), expected text in UTF-8, one "
            "prompt a line."
        ) from error
