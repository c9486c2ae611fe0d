"""How many captions have how many tokens, and where the encoder's limit is. Pure, on PIL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from PIL import Image, ImageDraw

from ..palette import INK, MUTED, PAPER, RULE, Colour
from ..probe.plots import charts

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 210, 64, 30, 56, 46
MOST_BARS = 45
FAR = 1.6  # a limit farther than so many times the longest caption is not on the axis


def draw(below: str, counts: Sequence[int], limit: int, hue: Colour, width: int) -> Image.Image:
    """A bar for each range of counts: pale up to the limit, in full colour past it."""
    page = Image.new("RGB", (width, HEIGHT), PAPER)
    pen, longest = ImageDraw.Draw(page), max(counts)
    far = limit > FAR * longest
    end = max(longest if far else max(longest, limit), 8) * 1.06
    step = _step(end)
    bars = Counter((count - limit - 1) // step for count in counts)  # so that no bar lies on both sides of the limit
    top, rule = charts.scale(max(bars.values()))
    rule = max(1.0, rule)
    top = max(top, rule)
    inside = width - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x_of(tokens: float) -> float:
        return LEFT + min(max(tokens, 0), end) / end * inside[0]

    def y_of(captions: float) -> float:
        return TOP + inside[1] * (1 - captions / top)

    past = sum(count > limit for count in counts)
    pen.text((SIDE, 10), _title(below, past, len(counts), limit), fill=hue, font=charts.font(15))
    _rules(pen, top, rule, y_of, width)
    for place, many in bars.items():
        first = limit + 1 + place * step
        box = [x_of(first - 0.5) + 1, y_of(many), x_of(first + step - 0.5) - 1, y_of(0)]
        pen.rectangle(box, fill=hue if place >= 0 else pale(hue, 0.4))
    _axis(pen, end, x_of, below)
    _limit(pen, limit, far, x_of(limit + 0.5), width)
    return page


SIDE = 20


def pale(hue: Colour, share: float) -> Colour:
    """The hue mixed into the page's colour, with this share."""
    return tuple(round(white + share * (part - white)) for part, white in zip(hue, PAPER, strict=True))


def _title(below: str, past: int, count: int, limit: int) -> str:
    encoder = below.split()[0]
    if not past:
        return f"{encoder} reads all of every caption: up to {limit:,} tokens"
    return f"{encoder} reads {limit:,} tokens: {past:,} of {count:,} captions are longer"


def _step(end: float) -> int:
    """The width of a bar in tokens: 1, 2 or 5 times a power of ten."""
    steps = (factor * 10**power for power in range(9) for factor in (1, 2, 5))
    return next(step for step in steps if end / step <= MOST_BARS)


def _rules(pen: ImageDraw.ImageDraw, top: float, rule: float, y_of, width: int) -> None:
    for number in range(round(top / rule) + 1):
        y = y_of(number * rule)
        pen.line([(LEFT, y), (width - RIGHT, y)], fill=RULE)
        pen.text((LEFT - 8, y), f"{number * rule:,.0f}", fill=MUTED, font=charts.font(), anchor="rm")


def _axis(pen: ImageDraw.ImageDraw, end: float, x_of, below: str) -> None:
    _, tick = charts.scale(end)
    tick = max(1, round(tick / 2) if tick >= 20 else tick)
    for number in range(int(end // tick) + 1):
        x = x_of(number * tick)
        pen.text((x, HEIGHT - BOTTOM + 6), f"{number * tick:,.0f}", fill=MUTED, font=charts.font(), anchor="ma")
    pen.text(((x_of(0) + x_of(end)) / 2, HEIGHT - 6), below, fill=MUTED, font=charts.font(), anchor="ms")


def _limit(pen: ImageDraw.ImageDraw, limit: int, far: bool, x: float, width: int) -> None:
    """A dashed rule at the limit; an arrow if it is beyond the axis."""
    if far:
        text = f"limit {limit:,} >"
        pen.text((width - RIGHT, TOP - 8), text, fill=INK, font=charts.font(), anchor="rs")
        return
    for y in range(TOP - 6, HEIGHT - BOTTOM, 8):
        pen.line([(x, y), (x, min(y + 4, HEIGHT - BOTTOM))], fill=INK, width=2)
    anchor, aside = ("rs", -6) if x > width - 160 else ("ls", 6)
    pen.text((x + aside, TOP - 4), f"limit {limit:,}", fill=INK, font=charts.font(), anchor=anchor)
