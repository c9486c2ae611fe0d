"""Draws Encoder Influence: the effects at each step, the shares, and where each prompt acts. Pure, on PIL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import interpolate

from ...theme import colours, for_text, text_on, tint
from ..percent import percent
from ..plots import charts
from ..plots.charts import Line
from ..plots.ramps import ramp
from ..plots.sheets import stack_vertically
from .effects import WHOLE, maps, pooled
from .reading import InfluenceReading, floor

NAMES = {"clip": "CLIP", "t5": "T5"}
WIDTH = 860
AGAINST = {"zeros": "zeros", "empty prompt": "the empty prompt"}


def plot(reading: InfluenceReading) -> Image.Image:
    """Charts of the effects and the shares over the run for each null, and of the modulation's shares."""
    pages = [page for null in reading.nulls for page in (_effects(reading, null), _shares(reading, null))]
    if reading.modulation() is not None:
        pages.append(_modulation(reading))
    return stack_vertically(pages)


def _effects(reading: InfluenceReading, null: str) -> Image.Image:
    rows = [pooled([each.effects[null]]) for each in reading.moments]

    def line(title: str, key: str, hue, dash=()) -> Line:
        return Line(title, [row[key] for row in rows], hue, dash)

    series = [
        line("both", WHOLE, colours().ink),
        line("T5 beside CLIP", "D_t5", colours().t5),
        line("T5 alone", "solo_t5", colours().t5, (7, 4)),
        line("CLIP beside T5", "D_clip", colours().clip),
        line("CLIP alone", "solo_clip", colours().clip, (7, 4)),
        line("interaction", "interaction", colours().muted, (2, 4)),
    ]
    if "blocks_clip" in rows[0]:
        series += [line("T5, in blocks", "blocks_t5", colours().t5, (2, 3)),
                   line("CLIP, in blocks", "blocks_clip", colours().clip, (2, 3))]  # fmt: skip
    if any(each.floor is not None for each in reading.moments):
        series.append(Line("the same, again", [floor([each]) for each in reading.moments], colours().muted, (1, 3)))
    title = f"Effect of each prompt, relative to the velocity, compared with {AGAINST[null]}"
    return _over_the_run(reading, title, series, 440)


def _shares(reading: InfluenceReading, null: str) -> Image.Image:
    rows = [pooled([each.effects[null]]) for each in reading.moments]
    series = [
        Line(NAMES[stream], [_shown(row[f"share_{stream}"]) for row in rows], colours().of(stream))
        for stream in ("t5", "clip")
    ]
    title = f"Who decides: each prompt's share of the change, compared with {AGAINST[null]}"
    return _over_the_run(reading, title, series, 300)


def _over_the_run(reading: InfluenceReading, title: str, series: Sequence[Line], height: int) -> Image.Image:
    """A chart whose axis shows each step's number, sigma and percent of time."""
    ticks = [f"{each.step}\n{each.sigma:.2f}\n{each.percent:.0f} %" for each in reading.moments]
    page = charts.lines(title, series, ticks, width=WIDTH, height=height)
    at = (6, height - charts.BOTTOM + 8)
    ImageDraw.Draw(page).multiline_text(at, "step\nsigma\ntime", fill=colours().muted, font=charts.font())
    return page


def _shown(share: float | None) -> float | None:
    """A share for an axis that begins at 0: a negative one, which opposes the whole effect, becomes 0."""
    return None if share is None else max(share, 0.0)


def _modulation(reading: InfluenceReading) -> Image.Image:
    """A bar for each kind of block, divided into time, guidance and CLIP."""
    shares = reading.modulation()
    row, side = 30, 190
    page = Image.new("RGB", (WIDTH, 56 + row * len(shares) + 56), colours().paper)
    draw = ImageDraw.Draw(page)
    draw.text(
        (20, 16),
        "Where the modulation comes from, compared with none of the three",
        fill=colours().ink,
        font=charts.font(17),
    )
    hues = {"time": tint(colours().muted, 0.72), "guidance": tint(colours().muted, 0.34), "clip": colours().clip}
    for number, (kind, numbers) in enumerate(shares.items()):
        x, y = float(side), 56 + row * number
        draw.text((side - 10, y + 10), kind, fill=colours().ink, font=charts.font(), anchor="rm")
        for source, hue in hues.items():
            wide = max(numbers[source], 0.0) * (WIDTH - side - 60) / sum(max(numbers[each], 0.0) for each in hues)
            draw.rectangle([x, y, x + wide, y + 20], fill=hue)
            label = percent(numbers[source], significant=1)
            if source == "clip":  # its bar may be too small for a number
                draw.text((WIDTH - 52, y + 10), label, fill=for_text(hue), font=charts.font(), anchor="lm")
            elif wide > 44:
                draw.text((x + wide / 2, y + 10), label, fill=text_on(hue), font=charts.font(), anchor="mm")
            x += wide
    x, y = float(side), 56 + row * len(shares) + 10
    for source, hue in hues.items():
        draw.rectangle([x, y, x + 14, y + 14], fill=hue)
        name = NAMES.get(source, source)
        draw.text((x + 20, y + 7), name, fill=colours().ink, font=charts.font(), anchor="lm")
        x += 50 + charts.font().getlength(name)
    return page


# ---- where


def masks(reading: InfluenceReading, part: str) -> tuple[Tensor, float]:
    """(maps [2, B, H, W] of CLIP and T5 over latent pixels, scaled together to 0..1; their maximum before scaling).

    The maximum is relative to the velocity's mean length.
    """
    found = maps([each.effects[reading.nulls[0]] for each in reading.part(part)])
    most = float(found.max())
    return (found / most if most > 0 else found), most


PANEL, GAP, HEAD, FOOT = 384, 16, 44, 62


def map_pages(found: Tensor, most: float, pictures: Tensor | None, null: str) -> list[Image.Image]:
    """One page for each picture of the batch: both maps, and the picture if it is connected.

    `found` and `most` are those of `masks`, `pictures` is [B, H, W, 3].
    """
    return [_map_page(found[:, at], most, None if pictures is None else pictures[at], null)
            for at in range(found.shape[1])]  # fmt: skip


def _map_page(found: Tensor, most: float, picture: Tensor | None, null: str) -> Image.Image:
    height = round(PANEL * found.shape[1] / found.shape[2])
    panels = []
    if picture is not None:
        panels.append(("the picture", _resized(picture.movedim(-1, 0), height).movedim(0, -1)))
    for stream, values in zip(("clip", "t5"), found, strict=True):
        levels = torch.from_numpy(ramp(colours().of(stream)))  # [256, 3]
        wide = _resized(values[None], height)[0].clamp(0, 1)
        panels.append((f"where {NAMES[stream]} matters", levels[(wide * 255).round().long()]))
    page = Image.new("RGB", (GAP + (PANEL + GAP) * len(panels), HEAD + height + FOOT), colours().paper)
    draw = ImageDraw.Draw(page)
    for number, (title, pixels) in enumerate(panels):
        x = GAP + (PANEL + GAP) * number
        draw.text((x, HEAD / 2), title, fill=colours().ink, font=charts.font(17), anchor="lm")
        page.paste(Image.fromarray((pixels.clamp(0, 1) * 255).round().to(torch.uint8).numpy()), (x, HEAD))
    for number, stream in enumerate(("clip", "t5"), len(panels) - 2):
        _legend(page, draw, GAP + (PANEL + GAP) * number, HEAD + height + 12, colours().of(stream), most)
    foot = f"Part of the change relative to the mean velocity, compared with {AGAINST[null]}. One scale for both."
    draw.text((GAP, HEAD + height + 48), foot, fill=colours().muted, font=charts.font(), anchor="lm")
    return page


def _resized(pixels: Tensor, height: int) -> Tensor:
    """[C, H, W] resized to a panel's size."""
    size = (height, PANEL)
    return interpolate(pixels.to("cpu", torch.float32)[None], size, mode="bilinear", align_corners=False)[0]


def _legend(page: Image.Image, draw: ImageDraw.ImageDraw, x: int, y: int, hue: tuple[int, int, int], most: float):
    bar = np.repeat((ramp(hue) * 255).round().astype(np.uint8)[None], 10, 0)
    page.paste(Image.fromarray(bar).resize((160, 10)), (x + 28, y))
    draw.text((x, y + 5), "0", fill=colours().muted, font=charts.font(), anchor="lm")
    draw.text((x + 196, y + 5), charts.number(most, True), fill=colours().muted, font=charts.font(), anchor="lm")
