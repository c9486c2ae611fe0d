"""A stream's timeline: its text format, and the encoding at one moment. Pure.

    a red circle on the left
    @8 a blue square
    @40%..60% a star, fading in

A line that begins with @ and a time starts the next prompt; the first prompt starts with the run. With two times, the
prompt fades in from the first to the second. Spaces are allowed before % and around the two dots: `@40 % b`,
`@2 .. 6 b`. So a prompt that itself begins with % or .. must be on the line below its @ line; three dots are text. At
the beginning of a line, \\@ is a plain @.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ...quoting import shorten
from ...streams import Span
from ..blend.rows import Rows, fade
from ..controls import Keyframe, T5Timeline, Timeline
from ..timepoints import SIGMA, START, Moment, Point, at_start

_MARK = re.compile(r"[ \t]*@[ \t]*(\S.*)", re.DOTALL)
_POINT = r"(s[0-9]+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?(?:[ \t]*%)?)"
_TIME = re.compile(rf"{_POINT}(?:[ \t]*\.\.[ \t]*{_POINT})?(?!\S)[ \t]*(.*)", re.DOTALL)
_DOTS = re.compile(r"\.\.(?!\.)[ \t]*\S*")


@dataclass(frozen=True)
class Entry:
    """One prompt of a timeline: its text, its start, and the end of its fade-in (equal to `start` without a fade)."""

    text: str
    start: Point = START
    fade: Point = START


def parse(text: str) -> list[Entry]:
    """The entries of a timeline. Text without @ lines is one entry for the whole run.

    Raises ValueError for a time that cannot be parsed or is out of order, and for mixed units.
    """
    entries, lines = [], []
    start = fade = START
    marked = False
    for line in text.split("\n"):
        found = _MARK.fullmatch(line)
        if not found:
            lines.append(_plain(line))
            continue
        if marked or "".join(lines).strip():
            entries.append(Entry("\n".join(lines).strip(), start, fade))
        start, fade, words = _times(found[1])
        lines, marked = [_plain(words)], True
    entries.append(Entry("\n".join(lines).strip() if marked else "\n".join(lines), start, fade))
    return _checked(entries)


def _plain(line: str) -> str:
    """A line of text without the backslash that escapes its @."""
    return re.sub(r"^([ \t]*)\\(\\*@)", r"\1\2", line)


def _times(text: str) -> tuple[Point, Point, str]:
    """The text after an @ -> the prompt's start, the end of its fade-in, and its first line."""
    found = _TIME.fullmatch(text)
    if not found:
        return _refuse(text.split()[0])
    start, words = Point.parse(found[1]), found[3]
    if dots := _DOTS.match(words):
        raise ValueError(
            f"Got '{text[: found.start(3)]}{dots[0]}' for a time, expected one such as 8, or two such as 8..12. If "
            "the prompt begins with .., write it on the next line."
        )
    return start, Point.parse(found[2]) if found[2] else start, words


def _refuse(word: str):
    """Raises ValueError for a word after an @ that is no time."""
    word = shorten(word, 40)
    fix = "" if re.match("s?[0-9]", word) else f" For a line that begins with a plain @, write \\@{word}."
    raise ValueError(
        f"Got {word!r} for a time, expected a step (8), a percent of time (40%) or a sigma (s0.7), or two of them "
        f"(8..12).{fix}"
    )


def _checked(entries: list[Entry]) -> list[Entry]:
    first, *later = entries
    if not at_start(first.start) or first.fade != first.start:
        raise ValueError(
            f"Got a timeline that starts at @{_mark(first)}, so that nothing would be drawn before. Write the first "
            "prompt without a time: it acts from the start of the run."
        )
    if any(at_start(entry.start) for entry in later):
        raise ValueError(
            "Got a timeline whose second prompt acts from the start of the run, so that the first is never drawn. "
            "Remove the first, or start the second later."
        )
    points = [point for entry in later for point in dict.fromkeys((entry.start, entry.fade))]
    units = {point.unit for point in points}
    if len(units) > 1:
        raise ValueError(f"Got a timeline in {' and '.join(sorted(units))}s, expected one unit for all times.")
    starts = Counter(entry.start for entry in later)
    falls = units == {SIGMA}  # sigma falls through a run, steps and percent rise
    for one, next_one in zip(points, points[1:], strict=False):
        early = next_one.value > one.value if falls else next_one.value < one.value
        if early or (one == next_one and starts[one] > 1):  # two starts at one time: the first is never active
            raise ValueError(f"Got {next_one} after {one} in a timeline, expected times in the order of the run.")
    return [Entry(first.text), *later]


def _mark(entry: Entry) -> str:
    return f"{entry.start}" if entry.fade == entry.start else f"{entry.start}..{entry.fade}"


def written(entries: Sequence[Entry]) -> str:
    """The text of a timeline; `parse` reads the same entries from it."""

    def line(entry: Entry, number: int) -> str:
        text = re.sub(r"^([ \t]*)(\\*@)", r"\1\\\2", entry.text, flags=re.MULTILINE)
        apart = "\n" if text.startswith(("%", "..")) else " "  # else these would be parsed as part of the time
        return text if number == 0 else f"@{_mark(entry)}{apart}{text}"

    return "\n".join(line(entry, number) for number, entry in enumerate(entries))


def playing(timeline: Timeline, moment: Moment) -> Span:
    """A timeline's encoding at this moment: one keyframe's, or a blend of two during a fade."""
    number = max((at for at, keyframe in enumerate(timeline.keyframes) if moment.reached(keyframe.start)), default=0)
    keyframe = timeline.keyframes[number]
    share = moment.progress(keyframe.start, keyframe.fade) if number else 1.0
    if share >= 1.0:
        return keyframe.span
    before = timeline.keyframes[number - 1]
    if isinstance(timeline, T5Timeline):
        return fade(_rows(before), _rows(keyframe), share)
    return replace(
        keyframe.span, tensor=torch.lerp(before.span.tensor, keyframe.span.tensor.to(before.span.tensor), share)
    )


def _rows(keyframe: Keyframe) -> Rows:
    return Rows(keyframe.span, keyframe.rows)
