"""A check as a picture: how long the captions are for each encoder, and what becomes of the triggers. Pure, on PIL."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from ..palette import Colour
from ..probe.percent import percent
from ..probe.plots import charts, sheets
from ..quoting import shorten
from ..theme import colours, for_text, tint
from . import cuts, histogram
from .checking import Check
from .glyphs import drawable
from .measure import CLIP_LIMIT
from .summary import notes, sentence
from .triggers import FEWEST, Trigger

WIDTH, SIDE, GAP = 860, 20, 10
CHIP, CHIP_ROW, CHIP_TEXT = 24, 30, 14
BAR_ROW = 22
MIDDLE = 450  # where the words beside a trigger begin
MOST_TRIGGERS, MOST_BESIDE, MOST_CHIPS, MOST_NOTES = 4, 7, 24, 12


def draw(check: Check) -> Image.Image:
    """The page; as tall as its content."""
    pages = [_head(check)]
    for encoder, limit, hue in (("CLIP", CLIP_LIMIT, colours().clip), ("T5", check.t5_length - 1, colours().t5)):
        counts = [(each, each.of(encoder)) for each in check.worst_first]
        pages.append(histogram.draw(encoder, [count.tokens for _, count in counts], limit, hue, WIDTH))
        if lost := sorted((pair for pair in counts if pair[1].lost), key=lambda pair: -pair[1].lost):
            pages.append(cuts.draw(encoder, lost, hue, WIDTH))
    pages += [_trigger(each, len(check.captions)) for each in check.triggers[:MOST_TRIGGERS]]
    lines = notes(check)
    if lines:
        more = [f"And {len(lines) - MOST_NOTES} more notes."] if len(lines) > MOST_NOTES else []
        pages.append(_notes(lines[:MOST_NOTES] + more))
    return sheets.stack_vertically(pages)


def _head(check: Check) -> Image.Image:
    lines = sheets.wrapped(drawable(sentence(check)), WIDTH - 2 * SIDE)
    page = Image.new("RGB", (WIDTH, 52 + sheets.LINE * len(lines)), colours().paper)
    pen = ImageDraw.Draw(page)
    title = f"What CLIP and T5 read of the captions in {drawable(shorten(check.where, 70))}"
    pen.text((SIDE, 16), title, fill=colours().ink, font=charts.font(17))
    pen.multiline_text((SIDE, 44), "\n".join(lines), fill=colours().ink, font=charts.font(), spacing=4)
    return page


NAMES_TITLE = "What CLIP and T5 read of the captions in"


# ---- triggers


def _trigger(each: Trigger, count: int) -> Image.Image:
    """One trigger: its tokens on the left, the words beside it on the right."""
    height = 40 + max(2 * (CHIP_ROW + 8) + 30, 26 + BAR_ROW * min(len(each.beside), MOST_BESIDE)) + 6
    page = Image.new("RGB", (WIDTH, height), colours().paper)
    pen = ImageDraw.Draw(page)
    pen.line([(SIDE, 2), (WIDTH - SIDE, 2)], fill=colours().rule)
    pen.text((SIDE, 12), f"Trigger: {drawable(shorten(each.text, 40))}", fill=colours().ink, font=charts.font(15))
    y = 44
    for encoder, pieces, hue in (("CLIP", each.clip, colours().clip), ("T5", each.t5, colours().t5)):
        _chips(pen, y, encoder, pieces, hue)
        y += CHIP_ROW + 8
    _presence(pen, y, each, count)
    _beside(pen, each)
    return page


def _chips(pen: ImageDraw.ImageDraw, y: int, encoder: str, pieces: Sequence[str], hue: Colour) -> None:
    """A row of tokens; those that do not fit are counted."""
    middle = y + CHIP / 2
    pen.text((SIDE, middle), encoder, fill=for_text(hue), font=charts.font(14), anchor="lm")
    x = SIDE + 46.0
    tail = f"{len(pieces)} {'token' if len(pieces) == 1 else 'tokens'}"
    room = MIDDLE - 30 - charts.font().getlength(tail)
    for number, piece in enumerate(pieces[:MOST_CHIPS]):
        label = drawable(shorten(piece, 24)) or "."
        wide = charts.font(CHIP_TEXT).getlength(label) + 14
        if x + wide > room:
            tail = f"... {tail}" if number < len(pieces) else tail
            break
        pen.rounded_rectangle([x, y, x + wide, y + CHIP], 6, fill=tint(hue, 0.14), outline=hue)
        pen.text((x + wide / 2, middle), label, fill=colours().ink, font=charts.font(CHIP_TEXT), anchor="mm")
        x += wide + 5
    pen.text((x + 6, middle), tail, fill=colours().muted, font=charts.font(), anchor="lm")


def _presence(pen: ImageDraw.ImageDraw, y: int, each: Trigger, count: int) -> None:
    """How many captions have the trigger, as a bar with words."""
    left, right = SIDE + 46, SIDE + 206
    pen.rectangle([left, y + 4, right, y + 16], fill=colours().rule)
    if each.found:
        pen.rectangle([left, y + 4, left + (right - left) * each.found / count, y + 16], fill=colours().ink)
    pen.text((right + 10, y + 10), f"in {each.found:,} of {count:,} captions", fill=colours().muted, font=charts.font(),
             anchor="lm")  # fmt: skip


def _beside(pen: ImageDraw.ImageDraw, each: Trigger) -> None:
    shown = each.beside[:MOST_BESIDE]
    more = len(each.beside) - len(shown)
    title = "Learned with it: words in at least half of its captions" if shown else "No word is in most of its captions"
    if each.found < FEWEST:
        title = f"Other words are counted from {FEWEST} captions on"
    pen.text((MIDDLE, 14), title + (f", and {more} more" if more else ""), fill=colours().ink, font=charts.font())
    left, right = MIDDLE + 130, WIDTH - SIDE - 60
    for number, (word, share) in enumerate(shown):
        middle = 50 + BAR_ROW * number
        pen.text((left - 8, middle), drawable(shorten(word, 16)), fill=colours().ink, font=charts.font(), anchor="rm")
        end = left + (right - left) * share
        pen.rectangle([left, middle - 7, end, middle + 7], fill=colours().muted)
        pen.text((end + 8, middle), percent(share), fill=colours().muted, font=charts.font(), anchor="lm")


def _notes(lines: Sequence[str]) -> Image.Image:
    """The notes, a paragraph each."""
    wrapped = [line for text in lines for line in sheets.wrapped(drawable(shorten(text, 300)), WIDTH - 2 * SIDE, 3)]
    page = Image.new("RGB", (WIDTH, 12 + sheets.LINE * len(wrapped) + SIDE), colours().paper)
    pen = ImageDraw.Draw(page)
    pen.line([(SIDE, 2), (WIDTH - SIDE, 2)], fill=colours().rule)
    for number, line in enumerate(wrapped):
        pen.text((SIDE, 12 + number * sheets.LINE), line, fill=colours().muted, font=charts.font())
    return page
