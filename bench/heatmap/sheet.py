"""The first scenes' pictures, masks and maps as one picture: what the scores are about. Pure: numpy, PIL."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from ...nodes.palette import CIVIDIS
from .cases import Case
from .report import Found
from .scoring import Way, best_of_each

ROWS, TILE, GAP, TEXT = 12, 96, 6, 26


def sheet(
    found: Sequence[Case], pictures: np.ndarray, truth: Tensor, maps: dict[Way, Tensor], train: Found, path: Path
) -> None:
    """A row for each object of the first scenes: its picture, its mask, and the map of each measure's best way."""
    chosen = best_of_each(train).values()
    owners = [(number, item) for number, case in enumerate(found) for item in range(len(case.named))][:ROWS]
    width, height = (2 + len(chosen)) * (TILE + GAP), len(owners) * (TILE + TEXT)
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for at, (number, item) in enumerate(owners):
        case, top = found[number], at * (TILE + TEXT)
        tiles = [Image.fromarray(pictures[number]), _heat(truth[at].float())]
        tiles += [_heat(maps[way][at]) for way in chosen]
        names = [", ".join(case.named[item]["phrase"]), "mask", *(f"{way.measure}, {way.query}" for way in chosen)]
        for column, (tile, name) in enumerate(zip(tiles, names, strict=True)):
            left = column * (TILE + GAP)
            page.paste(tile.resize((TILE, TILE), Image.Resampling.NEAREST), (left, top + TEXT - 8))
            draw.text((left, top), name[:17], fill="black")
    page.save(path)


def _heat(values: Tensor) -> Image.Image:
    low, high = float(values.min()), float(values.max())
    steps = ((values - low) / max(high - low, 1e-12) * (len(CIVIDIS) - 1)).round().long()
    return Image.fromarray(np.array(CIVIDIS, np.uint8)[steps.numpy()])
