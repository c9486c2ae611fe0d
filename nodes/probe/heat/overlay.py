"""Draws heatmaps: a word's map over the picture, with its share and a legend. Pure, on PIL and numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ...palette import CIVIDIS, OPACITY
from ...theme import colours
from ..percent import percent
from ..plots.charts import TEXT, TITLE, font

STOPS = np.array(CIVIDIS, dtype=np.float32)
SIDE, GAP, FOOT, HEAD = 256, 12, 46, 96
LEAST = 400  # pixels that the legend needs


@dataclass(frozen=True, eq=False)
class HeatPanel:
    """A word, its map of 0 to 1 [h, w], and its share, such as that of the picture's attention."""

    word: str
    map: np.ndarray
    share: float


def coloured(values: np.ndarray) -> np.ndarray:
    """Values 0 to 1 [...] -> colours, float32 [..., 3], 0 to 255."""
    at = np.clip(values, 0, 1) * (len(STOPS) - 1)
    low = np.minimum(at.astype(int), len(STOPS) - 2)
    return STOPS[low] + (at - low)[..., None] * (STOPS[low + 1] - STOPS[low])


def over(picture: np.ndarray | None, values: np.ndarray, side: int = SIDE) -> Image.Image:
    """A map [h, w] over the picture [H, W, 3] (0 to 1), transparent where it is low, or alone; `side` pixels wide."""
    height, width = values.shape if picture is None else picture.shape[:2]
    size = (side, max(1, round(side * height / width)))
    smooth = Image.fromarray(values.astype(np.float32), mode="F").resize(size, Image.Resampling.BICUBIC)
    level = np.asarray(smooth).clip(0, 1)
    if picture is None:
        return Image.fromarray(coloured(level).astype(np.uint8))
    shown = Image.fromarray((picture * 255).clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.LANCZOS)
    return laid(level, np.asarray(shown, dtype=np.float32))


def laid(level: np.ndarray, below: np.ndarray) -> Image.Image:
    """A map [H, W], 0 to 1, laid over colours [H, W, 3], 0 to 255."""
    opacity = OPACITY / 100 * level[..., None]
    return Image.fromarray((below + opacity * (coloured(level) - below)).round().astype(np.uint8))


def sheet(
    title: str, below: str, picture: np.ndarray | None, panels: Sequence[HeatPanel], whole: str, columns: int = 4
) -> Image.Image:
    """The picture and each word's map, `columns` in a row, under a title and a legend; `whole` has the shares."""
    tiles = [(over(picture, panel.map), panel.word, f"{percent(panel.share)} of the {whole}") for panel in panels]
    if picture is not None:
        plain = Image.fromarray((picture * 255).clip(0, 255).astype(np.uint8))
        tiles = [(plain.resize(tiles[0][0].size, Image.Resampling.LANCZOS), "the picture", ""), *tiles]
    columns = min(columns, len(tiles))
    width, height = tiles[0][0].size
    rows = -(-len(tiles) // columns)
    page_width = max(LEAST, GAP + columns * (width + GAP))
    page = Image.new("RGB", (page_width, HEAD + rows * (height + FOOT) + GAP), colours().paper)
    draw = ImageDraw.Draw(page)
    draw.text((GAP, 14), title, fill=colours().ink, font=font(TITLE))
    draw.text((GAP, 42), below, fill=colours().muted, font=font())
    _legend(page, draw, (GAP, 66), picture is not None)
    for index, (tile, word, share) in enumerate(tiles):
        x, y = GAP + index % columns * (width + GAP), HEAD + index // columns * (height + FOOT)
        page.paste(tile, (x, y))
        draw.text((x, y + height + 5), word, fill=colours().ink, font=font(TEXT + 2))
        draw.text((x, y + height + 25), share, fill=colours().muted, font=font(TEXT - 1))
    return page


def _legend(page: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int], is_over: bool) -> None:
    (x, y), ramp = at, np.broadcast_to(np.linspace(0, 1, 160)[None], (12, 160))
    bar = laid(ramp, np.float32(colours().paper)) if is_over else Image.fromarray(coloured(ramp).astype(np.uint8))
    draw.text((x, y + 6), "least", fill=colours().muted, font=font(TEXT - 1), anchor="lm")
    page.paste(bar, (x + 40, y))
    draw.text((x + 208, y + 6), "most, scaled for each word", fill=colours().muted, font=font(TEXT - 1), anchor="lm")
