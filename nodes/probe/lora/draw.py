"""Draws LoRA Anatomy: a strip of all blocks for each part, coloured by what the LoRA changes there. Pure, on PIL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from ...lora.parts import CLIP_ENCODER, CLIP_STREAM, ENCODERS, IMAGE, JOINT, T5_ENCODER, T5_STREAM, TITLES, Place
from ...quoting import shorten
from ...theme import colours
from ..percent import percent
from ..plots import charts
from ..plots.ramps import ramp
from ..plots.sheets import stack_vertically
from .reading import NOTHING_IN_COMMON, Comparison, LoraReading, Total

ROWS = (CLIP_STREAM, T5_STREAM, IMAGE, JOINT, CLIP_ENCODER, T5_ENCODER)  # from top to bottom
HUES = {CLIP_STREAM: "clip", CLIP_ENCODER: "clip", T5_STREAM: "t5", T5_ENCODER: "t5", IMAGE: "muted", JOINT: "both"}
# A node shows the page at two thirds of its size or less: narrow, and with large letters, it stays readable there.
MARGIN, LABEL, OUTSIDE, GAP, STRIP, ROW, BAR = 16, 130, 26, 10, 458, 30, 48
NUMBERS = (0, BAR + 64, BAR + 140)  # the columns right of the strips: bar and share, of the weights, effective rank
WIDTH = MARGIN + LABEL + OUTSIDE + GAP + STRIP + 3 * GAP + NUMBERS[-1] + 76 + MARGIN
HEAD, FOOT = 94, 12
TEXT, SMALL, TITLE = 16, 14, 19


class Scale(NamedTuple):
    """What a colour stands for: values up to `most`, relative to the weights or not."""

    most: float
    relative: bool

    def value(self, total: Total) -> float:
        return (total.relative or 0.0) if self.relative else total.change


def plot(readings: Sequence[LoraReading], compared: Comparison | None) -> Image.Image:
    """A panel for each file, on one scale, and the cosines of two."""
    totals = [total for reading in readings for total in reading.cells().values()]
    relative = all(total.own for total in totals)
    scale = Scale(max([*(total.relative if relative else total.change for total in totals), 0.0]) or 1.0, relative)
    pages = [_panel(reading, scale) for reading in readings]
    if compared:
        pages.append(_cosines(compared))
    return stack_vertically([*pages, _legend(scale)])


def _panel(reading: LoraReading, scale: Scale) -> Image.Image:
    page = Image.new("RGB", (WIDTH, HEAD + ROW * len(ROWS) + GAP + FOOT), colours().paper)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, 12), f"What {shorten(reading.file, 64)} changes", fill=colours().ink, font=charts.font(TITLE))
    columns = _Columns(reading)
    columns.head(draw)
    cells, largest = reading.cells(), max([reading.share(reading.total(part)) for part in ROWS] + [1e-9])
    for number, part in enumerate(ROWS):
        y = HEAD + ROW * number + (GAP if part in ENCODERS else 0)
        at, font = (MARGIN + LABEL - 10, y + ROW / 2 - 2), charts.font(TEXT)
        draw.text(at, TITLES[part], fill=colours().ink, font=font, anchor="rm")
        for block in (None, *range(reading.depth.blocks)):
            if columns.exists(part, block):
                _cell(draw, columns.box(block, y), cells.get(Place(part, block)), part, scale)
        if part in ENCODERS:
            at = columns.left, y + ROW / 2 - 2
            draw.text(at, _encoder(reading, part), fill=colours().muted, font=font, anchor="lm")
        _numbers(draw, columns.right, y, reading, part, largest)
    return page


class _Columns:
    """Where blocks stand: first what is outside them, then double, then single blocks."""

    def __init__(self, reading: LoraReading):
        self.depth, self.held = reading.depth, reading.held
        self.left = MARGIN + LABEL + OUTSIDE + GAP
        self.right = self.left + STRIP + 3 * GAP
        self.wide = STRIP / reading.depth.blocks

    def exists(self, part: str, block: int | None) -> bool:
        """Whether the model has weights of the part there."""
        if block is None:
            return part != JOINT and bool(self.held.get(part))
        single = block >= self.depth.double
        return part == CLIP_STREAM or (part == JOINT and single) or (part in (T5_STREAM, IMAGE) and not single)

    def x(self, block: float) -> float:
        return self.left + block * self.wide + (GAP if block >= self.depth.double else 0)

    def box(self, block: int | None, y: float) -> tuple[float, float, float, float]:
        left, wide = (MARGIN + LABEL, OUTSIDE) if block is None else (self.x(block), self.wide)
        return round(left), y, round(left + wide) - 2, y + ROW - 5

    def head(self, draw: ImageDraw.ImageDraw) -> None:
        small, double = charts.font(SMALL), self.depth.double
        draw.text((MARGIN + LABEL + OUTSIDE / 2 - 1, HEAD - 13), "rest", fill=colours().muted, font=small, anchor="mm")
        for first, count, name in ((0, double, "double blocks"), (double, self.depth.single, "single blocks")):
            draw.text((self.x(first), HEAD - 34), name, fill=colours().ink, font=charts.font(TEXT), anchor="lm")
            for block in range(first, first + count):
                if block == first or count <= 8 or (block % 5 == 0 and block - first > 1):
                    at = self.x(block) + self.wide / 2 - 1, HEAD - 13
                    draw.text(at, str(block), fill=colours().muted, font=small, anchor="mm")
        for x, name in zip(NUMBERS, ("share of\nthe change", "relative\nchange", "effective\nrank"), strict=True):
            draw.multiline_text((self.right + x, HEAD - 43), name, fill=colours().muted, font=small)


def _cell(draw: ImageDraw.ImageDraw, box, total: Total | None, part: str, scale: Scale) -> None:
    if total is None or not total.change:
        draw.rectangle(box, outline=colours().rule)
        return
    levels = (ramp(colours().of(HUES[part])) * 255).round().astype(int)
    level = min(scale.value(total) / scale.most, 1.0)
    draw.rectangle(box, fill=tuple(levels[round((0.06 + 0.94 * level) * 255)].tolist()))


def _encoder(reading: LoraReading, part: str) -> str:
    held, changed = reading.held.get(part, 0), reading.total(part).weights
    if not held:
        return "not connected"
    return f"{changed} of its {held} weights" if changed else "not changed"


def _numbers(draw: ImageDraw.ImageDraw, x: float, y: float, reading: LoraReading, part: str, largest: float) -> None:
    """A bar of the part's share of the change, with numbers beside it."""
    total, middle, font = reading.total(part), y + ROW / 2 - 2, charts.font(TEXT)
    if not total.change:
        draw.text((x, middle), "-", fill=colours().muted, font=font, anchor="lm")
        return
    share = reading.share(total)
    draw.rectangle([x, y + 4, x + max(BAR * share / largest, 1), y + ROW - 9], fill=colours().of(HUES[part]))
    draw.text((x + BAR * share / largest + 6, middle), percent(share), fill=colours().ink, font=font, anchor="lm")
    if total.relative is not None:
        draw.text((x + NUMBERS[1], middle), percent(total.relative), fill=colours().ink, font=font, anchor="lm")
    if total.effective_rank is not None:
        text = f"{total.effective_rank:.1f} of {total.rank:.0f}"
        draw.text((x + NUMBERS[2], middle), text, fill=colours().muted, font=font, anchor="lm")


def _cosines(compared: Comparison) -> Image.Image:
    """A row for each part that both files change: from -1 to 1, 0 in the middle."""
    each = ((TITLES[part], compared.cosines.get(part), colours().of(HUES[part])) for part in ROWS)
    rows = [("all", compared.whole, colours().ink), *each]
    rows = [row for row in rows if row[1] is not None]
    page = Image.new("RGB", (WIDTH, 74 + ROW * len(rows)), colours().paper)
    draw, left, wide = ImageDraw.Draw(page), MARGIN + LABEL + OUTSIDE + GAP, 320
    draw.text((MARGIN, 12), "Cosine similarity of the two changes", fill=colours().ink, font=charts.font(TITLE))
    if not rows:
        draw.text((left, 54), NOTHING_IN_COMMON, fill=colours().muted, font=charts.font(TEXT),
                  anchor="lm")  # fmt: skip
        return page
    zero = left + wide / 2
    for at, name in ((left, "-1"), (zero, "0"), (left + wide, "1")):
        draw.line([(at, 40), (at, page.height - 28)], fill=colours().rule)
        draw.text((at, page.height - 16), name, fill=colours().muted, font=charts.font(SMALL), anchor="mm")
    for number, (title, value, hue) in enumerate(rows):
        y = 56 + ROW * number
        draw.text((MARGIN + LABEL - 10, y), title, fill=colours().ink, font=charts.font(TEXT), anchor="rm")
        ends = sorted((zero, zero + value * wide / 2))
        draw.rectangle([ends[0], y - 8, max(ends[1], ends[0] + 1), y + 8], fill=hue)
        draw.text((left + wide + 10, y), f"{value:.2f}", fill=colours().ink, font=charts.font(TEXT), anchor="lm")
    return page


def _legend(scale: Scale) -> Image.Image:
    """What the colours stand for, on one scale in all rows."""
    page = Image.new("RGB", (WIDTH, 70), colours().paper)
    draw, font, x = ImageDraw.Draw(page), charts.font(SMALL), MARGIN + LABEL + OUTSIDE + GAP
    draw.text((x, 24), "0", fill=colours().muted, font=font, anchor="lm")
    x += 14
    for hue in (colours().clip, colours().t5, colours().muted, colours().both):
        bar = np.repeat((ramp(hue) * 255).round().astype(np.uint8)[None], 10, 0)
        page.paste(Image.fromarray(bar).resize((64, 12)), (x, 18))
        x += 66
    most = percent(scale.most) if scale.relative else f"{scale.most:.3g}"
    of = "of the weights' norm" if scale.relative else "norm of the change"
    draw.text((x + 8, 24), f"{most} {of}", fill=colours().muted, font=font, anchor="lm")
    text = "All rows use the same scale. Outline only: not changed."
    draw.text((MARGIN + LABEL + OUTSIDE + GAP, 48), text, fill=colours().muted, font=font, anchor="lm")
    return page
