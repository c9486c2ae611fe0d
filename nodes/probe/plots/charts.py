"""Charts as pictures: lines over the steps, bars. Pure, on PIL.

CLIP and T5 have one hue each (nodes/palette.py), the rest is grey. Lines also differ in their dashes, for readers who
cannot distinguish the hues. nodes/theme.py says which ground a page has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont

from ...palette import Colour
from ...theme import colours, for_text

LEFT, RIGHT, TOP, BOTTOM = 64, 150, 56, 70
TITLE, TEXT = 17, 13


@dataclass(frozen=True)
class Line:
    """Values over x, None where there is no value; `dash` is in pixels, () for a solid line."""

    name: str
    values: Sequence[float | None]
    colour: Colour = field(default_factory=lambda: colours().ink)
    dash: tuple[int, ...] = ()


@dataclass(frozen=True)
class Bar:
    name: str
    value: float
    colour: Colour = field(default_factory=lambda: colours().ink)
    spread: tuple[float, float] | None = None  # a confidence interval
    mark: float | None = None  # a level to compare it with


def font(size: int = TEXT) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def lines(
    title: str, series: Sequence[Line], ticks: Sequence[str], below: str = "", percent: bool = True, width: int = 860,
    height: int = 420,
) -> Image.Image:  # fmt: skip
    """A line chart of `series`, with a value for each of `ticks`; a tick may have two lines."""
    page = Image.new("RGB", (width, height), colours().paper)
    draw = ImageDraw.Draw(page)
    draw.text((LEFT, 16), title, fill=colours().ink, font=font(TITLE))
    known = [value for line in series for value in line.values if value is not None]
    top, step = scale(max([0.0, *known]))
    inside = width - LEFT - RIGHT, height - TOP - BOTTOM

    def place(index: float, value: float) -> tuple[float, float]:
        share = index / max(len(ticks) - 1, 1)
        return LEFT + share * inside[0], TOP + inside[1] * (1 - value / top)

    for count in range(round(top / step) + 1):
        x, y = place(0, count * step)
        draw.line([(x, y), (x + inside[0], y)], fill=colours().rule)
        draw.text((x - 8, y), number(count * step, percent), fill=colours().muted, font=font(), anchor="rm")
    every = max(1, len(ticks) * 60 // inside[0])
    for index in range(0, len(ticks), every):
        x, _ = place(index, 0)
        at = (x, height - BOTTOM + 8)
        draw.multiline_text(at, ticks[index], fill=colours().muted, font=font(), anchor="ma", align="center")
    draw.text((LEFT + inside[0] / 2, height - 12), below, fill=colours().muted, font=font(), anchor="ms")
    for line in series:
        _curve(draw, [None if v is None else place(i, v) for i, v in enumerate(line.values)], line)
    _names(draw, series, place, width - RIGHT + 8, TOP, height - BOTTOM)
    return page


def scale(most: float) -> tuple[float, float]:
    """(end of an axis for values up to `most`, distance of its rules): 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 1.0, 0.25
    power = 10.0 ** math.floor(math.log10(most / 2))
    step = next(power * factor for factor in (1, 2, 5, 10) if most / (power * factor) <= 5)
    return step * -(-most // step), step


def number(value: float, percent: bool) -> str:
    return f"{100 * value:.3g} %" if percent else f"{value:.3g}"


def _curve(draw: ImageDraw.ImageDraw, points: list[tuple[float, float] | None], line: Line) -> None:
    for one, other in zip(points, points[1:], strict=False):
        if one is not None and other is not None:
            _dashed(draw, one, other, line)
    for point in points:
        if point is not None:
            x, y = point
            draw.ellipse([x - 2.5, y - 2.5, x + 2.5, y + 2.5], fill=line.colour)


def _dashed(draw: ImageDraw.ImageDraw, one: tuple[float, float], other: tuple[float, float], line: Line) -> None:
    if not line.dash:
        draw.line([one, other], fill=line.colour, width=2)
        return
    length = max(((other[0] - one[0]) ** 2 + (other[1] - one[1]) ** 2) ** 0.5, 1e-6)
    at = 0.0
    while at < length:
        ends = [at / length, min(at + line.dash[0], length) / length]
        draw.line([tuple(a + (b - a) * end for a, b in zip(one, other, strict=True)) for end in ends],
                  fill=line.colour, width=2)  # fmt: skip
        at += sum(line.dash)


def _names(draw, series: Sequence[Line], place, x: float, top: float, bottom: float) -> None:
    """Writes each line's name at its end; names that would overlap are moved down."""
    ends = []
    for line in series:
        last = max((i for i, value in enumerate(line.values) if value is not None), default=None)
        if last is not None:
            ends.append([place(last, line.values[last])[1], line])
    ends.sort(key=lambda end: end[0])
    for one, other in zip(ends, ends[1:], strict=False):
        other[0] = max(other[0], one[0] + TEXT + 4)
    over = max(0.0, (ends[-1][0] if ends else 0) - bottom)
    for y, line in ends:
        draw.text((x, max(y - over, top)), line.name, fill=for_text(line.colour), font=font(), anchor="lm")


def bars(title: str, given: Sequence[Bar], percent: bool = True, width: int = 860) -> Image.Image:
    """A bar chart: one row per bar, with its value and confidence interval."""
    row, side, tail = 30, 190, 130
    page = Image.new("RGB", (width, TOP + row * len(given) + 20), colours().paper)
    draw = ImageDraw.Draw(page)
    draw.text((20, 16), title, fill=colours().ink, font=font(TITLE))
    top, _ = scale(max([0.0, *(max(bar.value, bar.mark or 0.0, *(bar.spread or (0.0,))) for bar in given)]))

    def place(value: float) -> float:
        return side + max(value, 0.0) / top * (width - side - tail)

    for index, bar in enumerate(given):
        y = TOP + row * (index + 0.5)
        draw.text((side - 10, y), bar.name, fill=colours().ink, font=font(), anchor="rm")
        draw.rectangle([side, y - 9, place(bar.value), y + 9], fill=bar.colour)
        end = place(bar.value)
        if bar.mark is not None:
            draw.line([(place(bar.mark), y - 12), (place(bar.mark), y + 12)], fill=colours().muted, width=3)
            end = max(end, place(bar.mark))
        if bar.spread:
            low, high = map(place, bar.spread)
            draw.line([(low, y), (high, y)], fill=colours().ink, width=2)
            for edge in (low, high):
                draw.line([(edge, y - 5), (edge, y + 5)], fill=colours().ink, width=2)
            end = max(end, high)
        draw.text((end + 8, y), number(bar.value, percent), fill=colours().muted, font=font(), anchor="lm")
    return page
