"""Draws LoRA Influence: what each part changes, over the run, and where in the picture. Pure, on PIL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import interpolate

from ...lora.parts import ENCODERS, TITLES
from ...quoting import shorten
from ...theme import colours, tint
from ..lora.draw import HUES
from ..percent import percent
from ..plots import charts
from ..plots.charts import Line
from ..plots.ramps import ramp
from ..plots.sheets import note, stack_vertically
from .effects import maps
from .reading import PartsReading, sentence

WIDTH = 680  # a node shows it smaller
LABEL, BAR, ROW, TOP = 130, 180, 40, 92
ENCODER_DASH = (7, 4)


def plot(reading: PartsReading) -> Image.Image:
    """Shares and effects of the parts; over the run where several steps were measured; the sentence."""
    pages = [_bars(reading)]
    if len(reading.moments) > 1:
        pages += [_shares(reading)] if len(reading.parts) > 1 else []
        pages.append(_sizes(reading))
    return stack_vertically([*pages, note(sentence(reading), WIDTH)])


def _bars(reading: PartsReading) -> Image.Image:
    """A row for each part: its share of the whole effect, and two thin bars, its effects alone and left out."""
    numbers = reading.whole
    page = Image.new("RGB", (WIDTH, TOP + ROW * len(reading.parts) + 20), colours().paper)
    draw = ImageDraw.Draw(page)
    draw.text(
        (20, 16),
        f"Which parts of {shorten(reading.file, 37)} create its effect",
        fill=colours().ink,
        font=charts.font(17),
    )
    left, right = LABEL + 10, LABEL + BAR + 90
    head = "share of the effect" if reading.exact else "share of the effect (estimated)"
    for x, text in ((left, head), (right, "change of the velocity: alone; pale: when removed")):
        draw.text((x, TOP - 14), text, fill=colours().muted, font=charts.font(11), anchor="ls")
    shares = numbers.shares or [0.0] * len(reading.parts)
    reach = max(1e-9, *(abs(share) for share in shares))
    most = max(1e-12, *numbers.alone, *numbers.left_out)
    for at, part in enumerate(reading.parts):
        y, hue = TOP + ROW * at, colours().of(HUES[part])
        draw.text((LABEL, y + 14), TITLES[part], fill=colours().ink, font=charts.font(), anchor="rm")
        end = left + BAR * max(abs(shares[at]) / reach, 0.004)
        if shares[at] < 0:
            draw.rectangle([left, y + 4, end, y + 24], outline=hue, width=2)
        else:
            draw.rectangle([left, y + 4, end, y + 24], fill=hue)
        draw.text((end + 8, y + 14), percent(shares[at]), fill=colours().ink, font=charts.font(), anchor="lm")
        for row, value in enumerate((numbers.alone[at], numbers.left_out[at])):
            top, wide = y + 3 + 12 * row, 190 * value / most
            draw.rectangle([right, top, right + max(wide, 1), top + 8], fill=tint(hue, 0.45) if row else hue)
            draw.text(
                (right + wide + 7, top + 4), percent(value), fill=colours().muted, font=charts.font(11), anchor="lm"
            )
    return page


def _shares(reading: PartsReading) -> Image.Image:
    series = []
    for at, part in enumerate(reading.parts):
        values = [min(max(each.shares[at], 0.0), 1.0) if reading.is_clear(each) else None for each in reading.by_moment]
        series.append(Line(TITLES[part], values, colours().of(HUES[part]), _dash(part)))
    return _over_the_run(reading, "Shares of the effect over the run", series, 300)


def _sizes(reading: PartsReading) -> Image.Image:
    rows = reading.by_moment
    series = [Line("the whole LoRA", [each.whole for each in rows], colours().ink)]
    for at, part in enumerate(reading.parts):
        series.append(Line(TITLES[part], [each.own[at] for each in rows], colours().of(HUES[part]), _dash(part)))
    series.append(Line("repeated evaluation", [each.floor for each in rows], colours().muted, (1, 3)))
    return _over_the_run(reading, "Change by each part, relative to the velocity", series, 340)


def _dash(part: str) -> tuple[int, ...]:
    return ENCODER_DASH if part in ENCODERS else ()


def _over_the_run(reading: PartsReading, title: str, series: Sequence[Line], height: int) -> Image.Image:
    """A chart whose axis shows each measured step's number and sigma."""
    ticks = [f"{each.step}\n{each.sigma:.2f}" for each in reading.moments]
    page = charts.lines(title, series, ticks, width=WIDTH, height=height)
    at = (6, height - charts.BOTTOM + 8)
    ImageDraw.Draw(page).multiline_text(at, "step\nsigma", fill=colours().muted, font=charts.font())
    return page


# ---- where


def masks(reading: PartsReading) -> tuple[Tensor, float]:
    """(maps [P, B, H, W] of the parts over latent pixels, scaled together to 0..1; their maximum before scaling)."""
    found = maps([each.effects for each in reading.moments])
    most = float(found.max())
    return (found / most if most > 0 else found), most


PANEL, GAP, HEAD, FOOT = 232, 16, 44, 62
IN_A_ROW = 4


def map_pages(reading: PartsReading, found: Tensor, most: float, pictures: Tensor | None) -> list[Image.Image]:
    """One page for each picture of the batch: a map for each part, and the picture if it is there."""
    return [_map_page(reading, found[:, at], most, None if pictures is None else pictures[at])
            for at in range(found.shape[1])]  # fmt: skip


def _map_page(reading: PartsReading, found: Tensor, most: float, picture: Tensor | None) -> Image.Image:
    high = round(PANEL * found.shape[1] / found.shape[2])
    panels, hues = [], [colours().of(HUES[part]) for part in reading.parts]
    if picture is not None:
        panels.append(("the picture", _resized(picture.movedim(-1, 0), high).movedim(0, -1)))
    shares = reading.whole.shares or [0.0] * len(reading.parts)
    for part, share, values in zip(reading.parts, shares, found, strict=True):
        wide = _resized(values[None], high)[0].clamp(0, 1)
        title = f"{TITLES[part]}, {percent(share)}"
        panels.append((title, torch.from_numpy(ramp(colours().of(HUES[part])))[(wide * 255).round().long()]))
    columns = min(IN_A_ROW, len(panels))
    rows = -(-len(panels) // columns)
    foot = f"Change of the velocity by each part, relative to its mean length; mean of {len(reading.moments)} steps."
    width = max(GAP + (PANEL + GAP) * columns, GAP * 2 + round(charts.font().getlength(foot)))
    page = Image.new("RGB", (width, (HEAD + high) * rows + FOOT), colours().paper)
    draw = ImageDraw.Draw(page)
    for number, (title, pixels) in enumerate(panels):
        x, y = GAP + (PANEL + GAP) * (number % columns), (HEAD + high) * (number // columns)
        draw.text((x, y + HEAD / 2 + 4), title, fill=colours().ink, font=charts.font(15), anchor="lm")
        page.paste(Image.fromarray((pixels.clamp(0, 1) * 255).round().to(torch.uint8).numpy()), (x, y + HEAD))
        draw.rectangle([x - 1, y + HEAD - 1, x + PANEL, y + HEAD + high], outline=colours().rule)
    _legend(page, draw, hues, page.height - FOOT + 12, most)
    draw.text((GAP, page.height - 18), foot, fill=colours().muted, font=charts.font(), anchor="lm")
    return page


def _resized(pixels: Tensor, height: int) -> Tensor:
    """[C, H, W] resized to a panel's size."""
    size = (height, PANEL)
    return interpolate(pixels.to("cpu", torch.float32)[None], size, mode="bilinear", align_corners=False)[0]


def _legend(page: Image.Image, draw: ImageDraw.ImageDraw, hues: Sequence[tuple[int, int, int]], y: int, most: float):
    x = GAP + 16
    draw.text((GAP, y + 5), "0", fill=colours().muted, font=charts.font(), anchor="lm")
    for hue in dict.fromkeys(hues):
        bar = np.repeat((ramp(hue) * 255).round().astype(np.uint8)[None], 10, 0)
        page.paste(Image.fromarray(bar).resize((80, 10)), (x, y))
        x += 84
    draw.text(
        (x + 4, y + 5),
        f"{percent(most)}, same scale for all parts",
        fill=colours().muted,
        font=charts.font(),
        anchor="lm",
    )
