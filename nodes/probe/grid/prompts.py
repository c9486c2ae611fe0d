"""Parses a list of prompts: one per line, or several lines each, separated by lines of `---`. Pure."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from ...disk.given_file import read_given
from .choices import NAME

RULE, EMPTY = "---", '""'
MOST_BYTES = 10**6  # the largest file of prompts that is read


def listed(text: str) -> list[str]:
    """The prompts of a text in order, without repetitions. A line of two quotation marks is the empty prompt.

    If any line is `---`, those lines separate the prompts, which may then have several lines. Otherwise each line is a
    prompt, and blank lines are skipped.
    """
    lines = [line.strip() for line in text.split("\n")]
    prompts = _blocks(lines) if RULE in lines else lines
    return [*dict.fromkeys("" if prompt == EMPTY else prompt for prompt in prompts if prompt)]


def _blocks(lines: list[str]) -> list[str]:
    """The blocks of lines between lines of `---`."""
    parted = groupby(lines, key=RULE.__eq__)
    return ["\n".join(block).strip() for is_rule, block in parted if not is_rule]


def gathered(stream: str, text: str, file: Path | None, node: str = NAME) -> list[str]:
    """The prompts of a widget, then those of a file. Raises ValueError if there is none, or for an unreadable file."""
    prompts = [*dict.fromkeys([*listed(text), *(listed(_read(stream, file, node)) if file else [])])]
    if not prompts:
        raise ValueError(
            f"{node}: got no {f'{stream} prompt'.strip()}, expected one per line. The empty prompt is a line of "
            f"{EMPTY}."
        )
    return prompts


def _read(stream: str, file: Path, node: str) -> str:
    try:
        return read_given(file, MOST_BYTES).decode("utf-8-sig")
    except ValueError as error:
        raise ValueError(
            f"{node}: {f'{stream} prompts'.strip()} cannot be read from {file.name} ({error}), expected text in "
            "UTF-8, one prompt per line."
        ) from error
