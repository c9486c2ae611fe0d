"""Square pictures for ComfyUI's template page, put together from results. Pure: PIL and numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
from PIL import Image, ImageDraw, ImageFont

from ...nodes.palette import CIVIDIS, DARK, LIGHT, Colour

SIDE = 440  # twice what the page shows
GAP = 6
BEHIND: Colour = (24, 25, 29)
PALE: Colour = (245, 245, 245)
Picture = Image.Image


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def fitted(picture: Picture, width: int, height: int) -> Picture:
    """Enlarged or reduced to cover the box, and cut to it around its centre."""
    share = max(width / picture.width, height / picture.height)
    size = max(width, round(picture.width * share)), max(height, round(picture.height * share))
    way = Image.Resampling.BICUBIC if share > 1 else Image.Resampling.LANCZOS
    large = picture.resize(size, way)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return large.crop((left, top, left + width, top + height))


def square(picture: Picture) -> Picture:
    return fitted(picture, SIDE, SIDE)


def contained(picture: Picture) -> Picture:
    """The whole of a page, on dark paper."""
    page = Image.new("RGB", (SIDE, SIDE), DARK.paper)
    share = SIDE / max(picture.size)
    width, height = (round(side * share) for side in picture.size)
    page.paste(picture.resize((width, height), Image.Resampling.LANCZOS), ((SIDE - width) // 2, (SIDE - height) // 2))
    return page


def top_of(picture: Picture) -> Picture:
    """The upper part of a tall page."""
    return square(picture.crop((0, 0, picture.width, min(picture.size))))


def grid(pictures: Sequence[Picture], columns: int) -> Picture:
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (SIDE, SIDE), BEHIND)
    width, height = ((SIDE - GAP * (count - 1)) / count for count in (columns, rows))
    for number, picture in enumerate(pictures):
        x, y = (number % columns) * (width + GAP), (number // columns) * (height + GAP)
        page.paste(fitted(picture, round(width), round(height)), (round(x), round(y)))
    return page


def halves(before: Picture, after: Picture) -> Picture:
    """Before above, after below a slant from corner to corner."""
    mask = Image.new("L", (SIDE, SIDE), 0)
    ImageDraw.Draw(mask).polygon([(SIDE, 0), (SIDE, SIDE), (0, SIDE)], fill=255)
    page = Image.composite(square(after), square(before), mask)
    ImageDraw.Draw(page).line([(SIDE, 0), (0, SIDE)], fill=PALE, width=5)
    return page


def inset(large: Picture, small: Sequence[Picture]) -> Picture:
    """A picture with those that it was made of in its lower corners."""
    page, side, edge = square(large), round(0.3 * SIDE), 5
    for number, picture in enumerate(small):
        x = 12 if number == 0 else SIDE - side - 12
        framed = Image.new("RGB", (side, side), PALE)
        framed.paste(fitted(picture, side - 2 * edge, side - 2 * edge), (edge, edge))
        page.paste(framed, (x, SIDE - side - 12))
    return page


def film(frames: Sequence[Picture], rows: int = 3) -> Picture:
    """Strips of film, one below the other."""
    page = Image.new("RGB", (SIDE, SIDE), BEHIND)
    draw = ImageDraw.Draw(page)
    columns = -(-len(frames) // rows)
    height, hole = SIDE // rows, 9
    side = min(height - 4 * hole, SIDE // columns - 6)
    for number, frame in enumerate(frames):
        row, column = divmod(number, columns)
        x = round((column + 0.5) * SIDE / columns - side / 2)
        page.paste(fitted(frame, side, side), (x, row * height + (height - side) // 2))
    for row in range(rows):
        for x in range(8, SIDE, 22):
            for y in (row * height + 5, (row + 1) * height - 5 - hole):
                draw.rounded_rectangle((x, y, x + 12, y + hole), 2, fill=(70, 72, 80))
    return page


def heat(picture: Picture, mask: Picture) -> Picture:
    """A map in the heatmap's colours over its picture: the lower, the more transparent."""
    share = numpy.asarray(square(mask).convert("L"), dtype=numpy.float32) / 255
    share = share / max(float(share.max()), 1e-6)
    stops = numpy.linspace(0, 1, len(CIVIDIS))
    colours = numpy.stack([numpy.interp(share, stops, channel) for channel in zip(*CIVIDIS, strict=True)], axis=-1)
    grey = numpy.asarray(square(picture).convert("L").convert("RGB"), dtype=numpy.float32)
    amount = numpy.clip(1.3 * share, 0.25, 0.85)[..., None]
    return Image.fromarray((grey * (1 - amount) + colours * amount).clip(0, 255).astype(numpy.uint8))


def tinted(picture: Picture, masks: Sequence[tuple[Picture, Colour]]) -> Picture:
    """Masks in colours of their own over the picture in grey."""
    page = 0.75 * numpy.asarray(square(picture).convert("L").convert("RGB"), dtype=numpy.float32)
    for mask, colour in masks:
        share = numpy.asarray(square(mask).convert("L"), dtype=numpy.float32)[..., None] / 255
        amount = 0.8 * share / max(float(share.max()), 1e-6)
        page = page * (1 - amount) + 1.35 * numpy.array(colour) * amount
    return Image.fromarray(page.clip(0, 255).astype(numpy.uint8))


def labelled(picture: Picture, *labels: tuple[str, Colour]) -> Picture:
    """With one label below the other in its upper left corner."""
    page = picture.copy()
    draw, y = ImageDraw.Draw(page), 12
    for text, colour in labels:
        letters = font(25)
        width = draw.textlength(text, font=letters)
        draw.rounded_rectangle((12, y, 12 + width + 22, y + 38), 8, fill=colour)
        draw.text((23, y + 4), text, font=letters, fill=(255, 255, 255))
        y += 46
    return page


def headed(picture: Picture, *heads: tuple[str, Colour]) -> Picture:
    """A band above the picture with a label over each of its columns."""
    band = 46
    page = Image.new("RGB", (SIDE, SIDE), BEHIND)
    page.paste(fitted(picture, SIDE, SIDE - band), (0, band))
    draw, width = ImageDraw.Draw(page), SIDE / len(heads)
    for number, (text, colour) in enumerate(heads):
        letters = font(25)
        draw.rectangle(
            (number * width, 0, (number + 1) * width - (GAP if number + 1 < len(heads) else 0), band - GAP), colour
        )
        left = (number + 0.5) * width - draw.textlength(text, font=letters) / 2
        draw.text((left, 4), text, font=letters, fill=(255, 255, 255))
    return page


def clip(text: str) -> tuple[str, Colour]:
    return text, LIGHT.clip


def t5(text: str) -> tuple[str, Colour]:
    return text, LIGHT.t5


def plain(text: str) -> tuple[str, Colour]:
    return text, BEHIND
