"""Samples, labels and saves strips of pictures. Needs ComfyUI."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from .pipeline import Pipeline
from .sheet import GAP, INK, MUTED, PAPER, framed, wrapped
from .weights import paint

FONT, RULE = 20, 16  # legible at a third of the width, as in a help panel
CFG = 3.0  # for pictures with a negative

Row = list  # each a CONDITIONING, or (CONDITIONING, negative)


@dataclass(frozen=True)
class Strip:
    """Rows of pictures by name; `masks` is a list of masks [1, H, W] to outline for each column."""

    columns: Sequence[str]
    rows: dict[str, Row]
    seed: int = 1
    masks: Sequence[Sequence[torch.Tensor]] = field(default=())


def outlined(picture: np.ndarray, masks: Sequence[torch.Tensor]) -> np.ndarray:
    """The picture with a dotted line along the edges of masks [1, H, W]."""
    picture = picture.copy()
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    for mask in masks:
        scale = picture.shape[0] // mask.shape[1]
        large = mask[0].bool().numpy().repeat(scale, 0).repeat(scale, 1)
        edge = (large ^ np.roll(large, 1, 0)) & (rows > 0) | (large ^ np.roll(large, 1, 1)) & (columns > 0)
        picture[edge & ((rows + columns) % 8 < 4)] = 90
    return picture


def drawn(pipeline: Pipeline, strip: Strip) -> np.ndarray:
    """A strip's pictures, uint8 [rows, columns, H, W, 3]."""
    rows = []
    for row in strip.rows.values():
        pairs = [each if isinstance(each, tuple) else (each, None) for each in row]
        row = [paint(pipeline, each, strip.seed, negative, CFG if negative else 1.0) for each, negative in pairs]
        rows.append([outlined(*pair) for pair in zip(row, strip.masks, strict=True)] if strip.masks else row)
    return np.array(rows)


def written(text: str, width: int, colour: tuple[int, int, int], columns: Sequence[str] = ()) -> Image.Image:
    """A line of text, or column titles, `width` pixels wide."""
    font = ImageFont.load_default(FONT)
    cells = [wrapped(each, width // len(columns), font) for each in columns] or [wrapped(text, width, font)]
    lines = max(cell.count("\n") for cell in cells) + 1
    out = Image.new("RGB", (width, lines * (FONT + 4) + GAP), PAPER)
    draw = ImageDraw.Draw(out)
    for number, cell in enumerate(cells):
        at = ((number + 0.5) * width / len(cells), out.height - GAP) if columns else (0, out.height - GAP)
        draw.multiline_text(at, cell, fill=colour, font=font, anchor="md" if columns else "ld", spacing=4,
                            align="center" if columns else "left")  # fmt: skip
    return out


def page(strip: Strip, pictures: np.ndarray, title: str = "") -> list[Image.Image]:
    """The parts of a page from top to bottom: each row's name and pictures, and the columns' titles once."""
    side = pictures.shape[3]
    width = pictures.shape[1] * (side + GAP)
    columns = [written("", width, MUTED, strip.columns)]
    parts = []
    for name, row in zip(strip.rows, pictures, strict=False):
        parts += [written(f"{title}{name}", width, INK), *columns]
        columns = []
        line = Image.new("RGB", (width, side + GAP), PAPER)
        for number, picture in enumerate(row):
            line.paste(Image.fromarray(picture), (number * (side + GAP) + GAP // 2, 0))
        parts.append(line)
    return parts


def stacked(pages: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Pages one below another, with a gap between pages."""
    height = sum(part.height for parts in pages for part in parts) + RULE * (len(pages) - 1)
    out = Image.new("RGB", (max(part.width for parts in pages for part in parts), height), PAPER)
    y = 0
    for parts in pages:
        for part in parts:
            out.paste(part, (0, y))
            y += part.height
        y += RULE
    return framed(out)


def save(picture: Image.Image, path: Path, limit: int) -> None:
    """Writes the best JPEG of at most `limit` bytes. Raises SystemExit if none is small enough."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(92, 40, -3):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= limit:
            path.write_bytes(file.getvalue())
            return
    raise SystemExit(f"error: {path.name} does not fit into {limit} bytes")
