"""Sheets of labelled pictures: the film strip of a sweep, the contact sheet of a grid, maps. Pure, on PIL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ...palette import Colour
from ...theme import colours, for_text
from .charts import BOTTOM, LEFT, RIGHT, TEXT, TITLE, TOP, font

MARGIN, GAP, LINE = 20, 14, TEXT + 4
LONGEST = 256  # pixels of a picture's longer side on a sheet; larger ones are reduced
MOST_IN_A_ROW = 7
MOST_LINES = 7  # of a label
SIDE = 176  # pixels left of a contact sheet's pictures, for the row titles
EMPTY = "(empty)"


# ---- tensors and pictures


def picture(pixels: Tensor, longest: int = LONGEST) -> Image.Image:
    """pixels [H, W, 3] in 0..1 -> a picture whose longer side is at most `longest`."""
    page = Image.fromarray((pixels.detach().to("cpu", torch.float32) * 255).round().clamp(0, 255).byte().numpy())
    share = longest / max(page.size)
    if share >= 1:
        return page
    return page.resize([max(1, round(side * share)) for side in page.size], Image.Resampling.LANCZOS)


def enlarged(small: Image.Image) -> Image.Image:
    """A small preview, enlarged by a whole factor so that its pixels stay square."""
    times = max(1, LONGEST // 2 // max(small.size))
    return small.resize([side * times for side in small.size], Image.Resampling.NEAREST)


def blank() -> Image.Image:
    """A placeholder for a missing picture."""
    return Image.new("RGB", (96, 24), colours().rule)


def stack_vertically(pages: Sequence[Image.Image]) -> Image.Image:
    """Pages one below another, aligned left."""
    whole = Image.new("RGB", (max(page.width for page in pages), sum(page.height for page in pages)), colours().paper)
    y = 0
    for page in pages:
        whole.paste(page, (0, y))
        y += page.height
    return whole


# ---- text


def wrapped(text: str, width: float, most: int = MOST_LINES) -> list[str]:
    """At most `most` lines of at most `width` pixels. Longer words are broken, and text that does not fit is cut."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font().getlength(longer) <= width:
            lines[-1] = longer
            continue
        lines += [""] if lines[-1] else []
        for sign in word:
            if font().getlength(lines[-1] + sign) > width:
                lines.append("")
            lines[-1] += sign
    if len(lines) > most:
        lines = lines[:most]
        while lines[-1] and font().getlength(f"{lines[-1]} ...") > width:
            lines[-1] = lines[-1][:-1]
        lines[-1] = f"{lines[-1].rstrip()} ..."
    return lines


def _paragraph(draw, at: tuple[float, float], lines: Sequence[str], hue, anchor: str = "l") -> None:
    """Writes lines from `at` down; the anchor is l, m or r: `at` is their left end, middle or right end."""
    for number, line in enumerate(lines):
        draw.text((at[0], at[1] + number * LINE), line, fill=hue, font=font(), anchor=f"{anchor}a")


def note(text: str, width: int) -> Image.Image:
    """A page of text."""
    lines = wrapped(text, width - 2 * MARGIN)
    page = Image.new("RGB", (width, LINE * len(lines) + MARGIN), colours().paper)
    _paragraph(ImageDraw.Draw(page), (MARGIN, 0), lines, colours().ink)
    return page


# ---- the film strip


@dataclass(frozen=True)
class Frame:
    """One picture of a strip. `share` is shown as a bar under it, from 0 to 1."""

    picture: Image.Image
    head: str
    below: Sequence[str]
    share: float


def film_strip(
    title: str,
    note: str,
    frames: Sequence[Frame],
    mark: float | None,
    hue: Colour | None = None,
    mark_text: str = "decided",
) -> Image.Image:
    """Frames in reading order. `mark` is a position between frames: 2.5 is after the third. `share` is clamped."""
    hue = hue or colours().ink
    rows = math.ceil(len(frames) / MOST_IN_A_ROW)
    columns = math.ceil(len(frames) / rows)
    width = max(96, *(frame.picture.width for frame in frames))
    height = max(frame.picture.height for frame in frames)
    lines = max(len(frame.below) for frame in frames)
    step = width + GAP, height + LINE * (lines + 1) + 44
    page_width = max(2 * MARGIN + columns * step[0], 620)
    notes = wrapped(note, page_width - 2 * MARGIN)
    top = 52 + LINE * len(notes)
    page = Image.new("RGB", (page_width, top + rows * step[1] + 8), colours().paper)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, 16), title, fill=colours().ink, font=font(TITLE))
    _paragraph(draw, (MARGIN, 44), notes, colours().muted)
    for number, frame in enumerate(frames):
        row, column = divmod(number, columns)
        x, y = MARGIN + column * step[0] + GAP // 2, top + row * step[1] + 22
        _frame(page, draw, frame, (x, y), (width, height), hue)
        if mark is not None and math.floor(mark) == number:
            _mark(draw, x + width + GAP / 2, y, height, hue, mark_text)
    return page


def _frame(page, draw, frame: Frame, at: tuple[int, int], size: tuple[int, int], hue) -> None:
    (x, y), (width, height) = at, size
    page.paste(frame.picture, (x + (width - frame.picture.width) // 2, y + (height - frame.picture.height) // 2))
    bar = y + height + 4
    draw.rectangle([x, bar, x + width - 1, bar + 5], fill=colours().rule)
    filled = min(1.0, max(0.0, frame.share)) * width
    if filled >= 1:
        draw.rectangle([x, bar, x + filled - 1, bar + 5], fill=hue)
    draw.text((x, bar + 10), frame.head, fill=colours().ink, font=font())
    _paragraph(draw, (x, bar + 10 + LINE), frame.below, colours().muted)


def _mark(draw, x: float, y: float, height: float, hue: Colour, text: str) -> None:
    draw.line([(x, y - 4), (x, y + height + 10)], fill=hue, width=4)
    draw.polygon([(x - 7, y - 6), (x + 7, y - 6), (x, y + 4)], fill=hue)
    half = font().getlength(text) / 2
    right = draw.im.size[0] - half - 4
    draw.text((min(max(x, half + 4), right), y - 8), text, fill=for_text(hue), font=font(), anchor="md")


def marked(chart: Image.Image, share: float, text: str, hue: Colour) -> Image.Image:
    """Adds a dashed rule to a chart of charts.lines, at this share of its x axis."""
    draw = ImageDraw.Draw(chart)
    x = LEFT + share * (chart.width - LEFT - RIGHT)
    for y in range(TOP, chart.height - BOTTOM, 8):
        draw.line([(x, y), (x, y + 4)], fill=hue, width=2)
    aside, anchor = (6, "ld") if share < 0.6 else (-6, "rd")  # on the side of the rule where there is more room
    draw.text((x + aside, TOP - 2), text, fill=for_text(hue), font=font(), anchor=anchor)
    return chart


# ---- the contact sheet


def _sheet_titles(title: str, width: int, columns: int, side: int) -> tuple[int, list[str]]:
    """(the width of a contact sheet with pictures of this width, the lines of its title)."""
    page_width = MARGIN + side + columns * (width + GAP) + MARGIN - GAP
    return page_width, wrapped(title, (page_width - 2 * MARGIN) * TEXT / TITLE)


def title_lines(title: str, pictures: Sequence[Sequence[Image.Image]], t5: Sequence[str], side: int = SIDE) -> int:
    """How many lines the title of such a contact sheet has."""
    return len(_sheet_titles(title, _widest(pictures), len(t5), side)[1])


def _widest(pictures: Sequence[Sequence[Image.Image]]) -> int:
    return max(96, *(each.width for row in pictures for each in row))


def contact_sheet(
    title: str, pictures: Sequence[Sequence[Image.Image]], clip: Sequence[str], t5: Sequence[str], side: int = SIDE,
    least: int = 1,
) -> Image.Image:  # fmt: skip
    """Pictures [rows][columns] with CLIP prompts as row titles and T5 prompts as column titles.

    The title has room for at least `least` lines.
    """
    width = _widest(pictures)
    height = max(64, *(each.height for row in pictures for each in row))
    heads = [wrapped(text or EMPTY, width) for text in t5]
    page_width, titles = _sheet_titles(title, width, len(t5), side)
    top = 16 + max(least, len(titles)) * (TITLE + 6) + max(2, *map(len, heads)) * LINE + 14
    page = Image.new("RGB", (page_width, top + len(clip) * (height + GAP) + 8), colours().paper)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(titles):
        draw.text((MARGIN, 16 + number * (TITLE + 6)), line, fill=colours().ink, font=font(TITLE))
    draw.text((MARGIN + side - GAP, top - 8 - LINE), "T5 across", fill=for_text(colours().t5), font=font(), anchor="rd")
    draw.text((MARGIN + side - GAP, top - 8), "CLIP down", fill=for_text(colours().clip), font=font(), anchor="rd")
    for column, (text, lines) in enumerate(zip(t5, heads, strict=True)):
        x = MARGIN + side + column * (width + GAP) + width / 2
        hue = for_text(colours().t5) if text else colours().muted
        _paragraph(draw, (x, top - 8 - len(lines) * LINE), lines, hue, "m")
    for row, text in enumerate(clip):
        y = top + row * (height + GAP)
        lines = wrapped(text or EMPTY, side - GAP, max(1, height // LINE))
        at = MARGIN + side - GAP, y + (height - len(lines) * LINE) / 2
        _paragraph(draw, at, lines, for_text(colours().clip) if text else colours().muted, "r")
        for column, each in enumerate(pictures[row]):
            x = MARGIN + side + column * (width + GAP)
            page.paste(each, (x + (width - each.width) // 2, y + (height - each.height) // 2))
    return page


# ---- maps


@dataclass(frozen=True)
class Panel:
    """A map [h, w] from 0 to 1: the page's colour at 0, `hue` at 1."""

    name: str
    values: numpy.ndarray
    hue: Colour = field(default_factory=lambda: colours().ink)


def panels(title: str, note: str, given: Sequence[Panel], width: int = 860) -> Image.Image:
    """Maps side by side, each below its name, which may have several lines."""
    room = (width - 2 * MARGIN - GAP * (len(given) - 1)) // len(given)
    shown = [_tinted(panel, min(room, 200)) for panel in given]
    height = max(each.height for each in shown)
    notes = wrapped(note, width - 2 * MARGIN)
    names = max(len(panel.name.split("\n")) for panel in given)
    top = TOP + LINE * names
    page = Image.new("RGB", (width, top + height + 14 + LINE * len(notes) + 8), colours().paper)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, 16), title, fill=colours().ink, font=font(TITLE))
    for number, (panel, each) in enumerate(zip(given, shown, strict=True)):
        x = MARGIN + number * (min(room, 200) + GAP)
        _paragraph(draw, (x, TOP - 6), panel.name.split("\n"), for_text(panel.hue))
        page.paste(each, (x, top))
        draw.rectangle([x - 1, top - 1, x + each.width, top + each.height], outline=colours().rule)
    _paragraph(draw, (MARGIN, top + height + 10), notes, colours().muted)
    return page


def _tinted(panel: Panel, width: int) -> Image.Image:
    share = numpy.clip(numpy.nan_to_num(panel.values), 0, 1)[..., None]
    paper = numpy.array(colours().paper)
    tinted = paper + share * (numpy.array(panel.hue) - paper)
    small = Image.fromarray(tinted.round().astype(numpy.uint8))
    return small.resize((width, max(1, round(width * small.height / small.width))), Image.Resampling.NEAREST)
