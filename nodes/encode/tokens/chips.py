"""A prompt's tokens as a picture: a chip per token, in the encoder's colour. Pure, with Pillow."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from ...quoting import shorten
from ...theme import colours, for_text, text_on, tint
from .inspection import PromptReading
from .spans import Piece

HUES = {"CLIP": "clip", "T5": "t5"}
WIDTH, MARGIN, GAP, ROW, TEXT, SMALL = 1024, 24, 6, 34, 17, 12
LONGEST = 100  # characters on a chip
MOST = 600  # chips of one encoder


def draw(readings: list[PromptReading], width: int = WIDTH) -> Image.Image:
    """A picture with a block per encoder: counts, chips, and notes. `width` in pixels; the height fits the content."""
    tall = Image.new("RGB", (width, _height(readings, width)), colours().paper)
    pen, y = ImageDraw.Draw(tall), MARGIN
    for reading in readings:
        y = _block(pen, reading, y, width)
    return tall


def _height(readings: list[PromptReading], width: int) -> int:
    """The height in pixels, measured by drawing on an empty picture."""
    pen, y = ImageDraw.Draw(Image.new("RGB", (1, 1))), MARGIN
    for reading in readings:
        y = _block(pen, reading, y, width)
    return y


def _block(pen: ImageDraw.ImageDraw, reading: PromptReading, y: int, width: int) -> int:
    """Draws one encoder's block from y down; returns the y of its end."""
    hue = colours().of(HUES[reading.encoder])
    pen.text((MARGIN, y), reading.headline, fill=for_text(hue), font=_font(20))
    x, y = MARGIN, y + ROW
    for place, piece in enumerate(reading.pieces[:MOST]):
        label, weight = _label(reading, piece), "" if piece.weight == 1 else f" {piece.weight:g}"
        wide = 2 * GAP + pen.textlength(label, font=_font(TEXT)) + pen.textlength(weight, font=_font(SMALL))
        if x + wide > width - MARGIN:
            x, y = MARGIN, y + ROW
        _chip(pen, (x, y, x + wide, y + ROW - GAP), (label, weight), piece, hue if place < reading.read else None)
        x += wide + GAP
    more = len(reading.pieces) - MOST
    tail = [f"and {more} more tokens"] if more > 0 else []
    for line in tail + [shorten(_drawable(note), 120) for note in reading.notes()]:
        y += ROW
        pen.text((MARGIN, y + GAP), line, fill=colours().muted, font=_font(SMALL + 2))
    return y + ROW + MARGIN


def _chip(pen: ImageDraw.ImageDraw, box: tuple, words: tuple[str, str], piece: Piece, hue: tuple | None) -> None:
    """Draws a chip. `hue` is None for a token that is cut off: grey and struck through."""
    left, top, right, bottom = box
    strength = 0.12 * max(0.0, piece.weight) if piece.weight < 1 else min(1.0, 0.12 + 0.5 * (piece.weight - 1))
    fill = tint(hue, strength) if hue else colours().paper
    pen.rounded_rectangle(box, 6, fill=fill, outline=hue or colours().rule, width=2 if piece.unknown else 1)
    ink = text_on(fill) if hue else colours().muted
    label, weight = words
    pen.text((left + GAP, (top + bottom) / 2), label, fill=ink, font=_font(TEXT), anchor="lm")
    at = left + GAP + pen.textlength(label, font=_font(TEXT))
    pen.text((at, top + GAP), weight, fill=ink, font=_font(SMALL), anchor="lt")
    if hue is None:
        pen.line((left + GAP, (top + bottom) / 2, right - GAP, (top + bottom) / 2), fill=colours().muted)


def _label(reading: PromptReading, piece: Piece) -> str:
    """A token's text, or a dot for invisible characters."""
    return _drawable(shorten(reading.written(piece), LONGEST)).strip() or "."


def _drawable(text: str) -> str:
    """The text, with code points instead of characters that the font does not have."""
    return "".join(character if _has(character) else f"U+{ord(character):04X}" for character in text)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _has(character: str) -> bool:
    """Whether the font has a character: missing ones are drawn like a private-use character."""
    font = _font(SMALL)
    return character.isspace() or bytes(font.getmask(character)) != bytes(font.getmask("\ue000"))
