"""How many captions have how many tokens, and where the encoder's limit is. Pure, on PIL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from PIL import Image, ImageDraw

from ..palette import Colour
from ..probe.plots import charts
from ..theme import colours, for_text, tint

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 210, 64, 30, 56, 46
SIDE = 20  # of the page
PALE = 0.4
MOST_BARS, MOST_RULES, MOST_TICKS = 45, 5, 10
FAR = 1.6  # a limit farther than so many times the longest caption is not on the axis


def draw(encoder: str, counts: Sequence[int], limit: int, hue: Colour, width: int) -> Image.Image:
    """A bar for each range of counts: pale up to the limit, in full colour past it."""
    page = Image.new("RGB", (width, HEIGHT), colours().paper)
    pen, longest = ImageDraw.Draw(page), max(counts)
    far = limit > FAR * longest
    end = max(longest if far else max(longest, limit), 8) * 1.06
    step = _rounded(end / MOST_BARS)
    bars = Counter((count - limit - 1) // step for count in counts)  # so that no bar lies on both sides of the limit
    rule = _rounded(max(bars.values()) / MOST_RULES)
    top = -(-max(bars.values()) // rule) * rule
    inside = width - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x_of(tokens: float) -> float:
        return LEFT + min(max(tokens, 0), end) / end * inside[0]

    def y_of(captions: float) -> float:
        return TOP + inside[1] * (1 - captions / top)

    past = sum(count > limit for count in counts)
    pen.text((SIDE, 10), _title(encoder, past, len(counts), limit), fill=for_text(hue), font=charts.font(15))
    _legend(pen, hue, width)
    _rules(pen, top, rule, y_of, width)
    for place, many in bars.items():
        first = limit + 1 + place * step
        box = [x_of(first - 0.5) + 1, y_of(many), x_of(first + step - 0.5) - 1, y_of(0)]
        pen.rectangle(box, fill=hue if place >= 0 else tint(hue, PALE))
    _axis(pen, end, x_of, f"{encoder} tokens per caption")
    _limit(pen, limit, far, x_of(limit + 0.5), width)
    return page


def _title(encoder: str, past: int, count: int, limit: int) -> str:
    if not past:
        return f"{encoder} reads all captions completely (limit: {limit:,} tokens)"
    return f"{encoder} reads {limit:,} tokens: {past:,} of {count:,} captions are longer"


def _legend(pen: ImageDraw.ImageDraw, hue: Colour, width: int) -> None:
    """The bars' two colours, in words, from the right."""
    x = width - RIGHT
    for name, colour in (("cut", hue), ("read completely", tint(hue, PALE))):
        x -= charts.font().getlength(name)
        pen.text((x, 18), name, fill=colours().muted, font=charts.font(), anchor="lm")
        pen.rectangle([x - 18, 12, x - 6, 24], fill=colour)
        x -= 34
    pen.text((x + 6, 18), "captions:", fill=colours().muted, font=charts.font(), anchor="rm")


def _rounded(least: float) -> int:
    """1, 2 or 5 times a power of ten: the first that is no less."""
    return next(step for power in range(12) for step in (10**power, 2 * 10**power, 5 * 10**power) if step >= least)


def _rules(pen: ImageDraw.ImageDraw, top: int, rule: int, y_of, width: int) -> None:
    for number in range(top // rule + 1):
        y = y_of(number * rule)
        pen.line([(LEFT, y), (width - RIGHT, y)], fill=colours().rule)
        pen.text((LEFT - 8, y), f"{number * rule:,}", fill=colours().muted, font=charts.font(), anchor="rm")


def _axis(pen: ImageDraw.ImageDraw, end: float, x_of, below: str) -> None:
    tick = _rounded(end / MOST_TICKS)
    for number in range(int(end // tick) + 1):
        x = x_of(number * tick)
        pen.text((x, HEIGHT - BOTTOM + 6), f"{number * tick:,}", fill=colours().muted, font=charts.font(), anchor="ma")
    pen.text(((x_of(0) + x_of(end)) / 2, HEIGHT - 6), below, fill=colours().muted, font=charts.font(), anchor="ms")


def _limit(pen: ImageDraw.ImageDraw, limit: int, far: bool, x: float, width: int) -> None:
    """A dashed rule at the limit; an arrow if it is beyond the axis."""
    if far:
        text = f"limit {limit:,} >"
        pen.text((width - RIGHT, TOP - 8), text, fill=colours().ink, font=charts.font(), anchor="rs")
        return
    for y in range(TOP - 6, HEIGHT - BOTTOM, 8):
        pen.line([(x, y), (x, min(y + 4, HEIGHT - BOTTOM))], fill=colours().ink, width=2)
    anchor, aside = ("rs", -6) if x > width - 160 else ("ls", 6)
    pen.text((x + aside, TOP - 4), f"limit {limit:,}", fill=colours().ink, font=charts.font(), anchor=anchor)
