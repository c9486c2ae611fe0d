"""Where captions are cut: the last words that an encoder reads, a rule, the first that it does not. Pure, on PIL."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from ..palette import Colour
from ..probe.plots import charts
from ..quoting import shorten
from ..theme import colours, for_text
from .glyphs import drawable, fitting
from .measure import Count, Measured

ROW, TOP, SIDE = 22, 34, 20
NAME = 130  # pixels for a caption's name
CUT = 440  # where the rule is
MOST = 4  # captions
_LOOK = 200  # characters on each side of the cut


def draw(encoder: str, cut: Sequence[tuple[Measured, Count]], hue: Colour, width: int) -> Image.Image:
    """A row for each of the first captions, all cut at one rule. `cut` are those of which something is not read."""
    rows = cut[:MOST]
    page = Image.new("RGB", (width, TOP + ROW * len(rows) + 14), colours().paper)
    pen = ImageDraw.Draw(page)
    pen.text((CUT - 8, 8), f"end of the text that {encoder} reads", fill=for_text(hue), font=charts.font(), anchor="ra")
    pen.text((CUT + 8, 8), "not read", fill=colours().muted, font=charts.font())
    pen.line([(CUT, 8), (CUT, TOP + ROW * len(rows))], fill=hue, width=2)
    for number, (each, count) in enumerate(rows):
        _row(pen, TOP + ROW * (number + 0.5), each, count, width)
    return page


def _row(pen: ImageDraw.ImageDraw, y: float, each: Measured, count: Count, width: int) -> None:
    text = each.caption.text
    name = fitting(drawable(shorten(each.caption.name, 60)), NAME)
    before = drawable(" ".join(text[max(0, count.cut - _LOOK) : count.cut].split()))
    after = drawable(" ".join(text[count.cut : count.cut + _LOOK].split()))
    room = CUT - 8 - SIDE - NAME - 12
    aside = 0 if count.split else 6  # a word that is cut in two goes on right behind the rule
    pen.text((SIDE, y), name, fill=colours().muted, font=charts.font(), anchor="lm")
    shown = fitting(before, room, end=False)
    pen.text((CUT - 2 - aside, y), shown, fill=colours().ink, font=charts.font(), anchor="rm")
    shown = fitting(after, width - SIDE - CUT - 70)
    left = CUT + 4 + aside
    pen.text((left, y), shown, fill=colours().muted, font=charts.font(), anchor="lm")
    pen.line([(left, y), (left + charts.font().getlength(shown), y)], fill=colours().muted)
    pen.text((width - SIDE, y), f"{count.lost:,} lost", fill=colours().muted, font=charts.font(), anchor="rm")
