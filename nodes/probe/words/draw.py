"""Draws Word Ablation: a bar and a map for each word. Pure, on PIL and torch."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from PIL import Image, ImageDraw
from torch import Tensor

from ...theme import colours, for_text
from ..heat.overlay import HeatPanel, sheet
from ..heat.reading import masks
from ..percent import percent
from ..plots import charts
from .reading import CLIP, T5, WordEffect, WordReading

WIDTH, SIDE, TAIL, TOP, BAR, GAP, HEAD = 860, 170, 80, 92, 13, 12, 34
TITLES = {T5: ("T5's words", "t5"), CLIP: ("CLIP's words", "clip")}


def plot(reading: WordReading) -> Image.Image:
    """A page of bars: means over the noise levels, with a line from the minimum to the maximum.

    T5's words have two: with the rows deleted, and encoded again.
    """
    groups = [(stream, [each for each in reading.found if each.stream == stream]) for stream in (T5, CLIP)]
    groups = [group for group in groups if group[1]]
    if reading.control:
        groups.append(("Control", [WordEffect(T5, "last token (no word)", 0, 1, (), reading.control)]))
    height = TOP + sum(HEAD + sum(map(_height, words)) for _, words in groups) + 30
    page = Image.new("RGB", (WIDTH, height), colours().paper)
    draw = ImageDraw.Draw(page)
    draw.text((20, 16), "Change of the velocity when a word is removed", fill=colours().ink, font=charts.font(17))
    _legend(draw)
    bars = [values for _, several in groups for each in several for values, _ in _bars(each)]
    most, step = charts.scale(max([0.0, *map(max, bars)]))

    def place(value: float) -> float:
        return SIDE + value / most * (WIDTH - SIDE - TAIL)

    for count in range(round(most / step) + 1):
        x = place(count * step)
        draw.line([(x, TOP), (x, height - 30)], fill=colours().rule)
        draw.text(
            (x, height - 26), charts.number(count * step, True), fill=colours().muted, font=charts.font(), anchor="ma"
        )
    y = TOP
    for stream, words in groups:
        title, hue = TITLES.get(stream, (stream, "muted"))
        draw.text((20, y + 8), title, fill=for_text(colours().of(hue)), font=charts.font(15))
        y = _words(draw, words, y + HEAD, place)
    return page


def maps(reading: WordReading, pictures: Tensor | None) -> list[Image.Image]:
    """For each picture of the batch a page of maps, over the decoded `pictures` [B, H, W, 3] if there are any."""
    levels = ", ".join(f"{sigma:.2f}" for sigma in reading.sigmas)
    pages = []
    for number, tiles in enumerate(masks(reading.maps)):
        panels = [HeatPanel(f"{each.word} ({each.stream})", tile.numpy(), mean(each.encoded))
                  for each, tile in zip(reading.found, tiles, strict=True)]  # fmt: skip
        which = f", picture {number + 1} of {len(reading.maps)}" if len(reading.maps) > 1 else ""
        picture = None if pictures is None else pictures[number].cpu().numpy()
        title = f"Where the velocity changes without each word{which}"
        pages.append(sheet(title, f"Squared change, mean over sigma {levels}", picture, panels, "velocity"))
    return pages


def _bars(found: WordEffect) -> list[tuple[Sequence[float], tuple[int, int, int]]]:
    now = colours()
    both = (found.deleted, now.t5_pale), (found.encoded, now.clip if found.stream == CLIP else now.t5)
    return [(values, colour) for values, colour in both if values]


def _height(found: WordEffect) -> int:
    return BAR * len(_bars(found)) + GAP


def _words(draw: ImageDraw.ImageDraw, words: Sequence[WordEffect], y: int, place) -> int:
    for each in words:
        bars = _bars(each)
        draw.text((SIDE - 10, y + BAR * len(bars) / 2), each.word, fill=colours().ink, font=charts.font(), anchor="rm")
        for number, (values, hue) in enumerate(bars):
            top = y + BAR * number
            draw.rectangle([SIDE, top, place(mean(values)), top + BAR - 2], fill=hue)
            middle, low, high = top + BAR / 2 - 1, place(min(values)), place(max(values))
            draw.line([(low, middle), (high, middle)], fill=colours().ink)
            for edge in (low, high):
                draw.line([(edge, middle - 3), (edge, middle + 3)], fill=colours().ink)
            text = percent(mean(values))
            draw.text((high + 8, middle), text, fill=colours().muted, font=charts.font(11), anchor="lm")
        y += _height(each)
    return y


def _legend(draw: ImageDraw.ImageDraw) -> None:
    x = 20
    for hue, name in ((colours().t5_pale, "its T5 tokens deleted"), (colours().t5, "T5 encoded again without it"),
                      (colours().clip, "CLIP encoded again without it")):  # fmt: skip
        draw.rectangle([x, 54, x + 14, 68], fill=hue)
        draw.text((x + 20, 61), name, fill=colours().ink, font=charts.font(), anchor="lm")
        x += 44 + int(charts.font().getlength(name))
    draw.text((x, 61), "|  minimum to maximum", fill=colours().muted, font=charts.font(), anchor="lm")
