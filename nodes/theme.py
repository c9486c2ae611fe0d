"""The colours to draw a page with: dark if the front end that asked for the run is. Pure.

Each front end tells its theme (js/theme.js). Runs of others, such as scripts, are drawn on white. A theme changes
nothing but the colours of drawn pages, and it is not part of any fingerprint.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from .palette import DARK, LIGHT, Colour, Colours

MOST_CLIENTS = 1000
TEXT = 4.5  # the contrast that text needs (WCAG 2.2, 1.4.3)

_dark: OrderedDict[str, None] = OrderedDict()  # the clients with a dark theme, the last to tell it last


def _nobody() -> str | None:
    return None


_running: Callable[[], str | None] = _nobody


def follow(running: Callable[[], str | None]) -> None:
    """Sets what returns the client that asked for the run; None for no client."""
    global _running
    _running = running


def tell(client: str, is_dark: bool) -> None:
    """Sets a client's theme."""
    _dark.pop(client, None)
    if is_dark:
        _dark[client] = None
    while len(_dark) > MOST_CLIENTS:
        _dark.popitem(last=False)


def colours() -> Colours:
    """Those of the running client's theme."""
    return DARK if _running() in _dark else LIGHT


def tint(hue: Colour, share: float) -> Colour:
    """The hue mixed into the paper, with this share."""
    return _mixed(colours().paper, hue, share)


def for_text(hue: Colour) -> Colour:
    """The hue for text on paper: nearer to ink where its contrast is too low."""
    now, share = colours(), 0.0
    while contrast(_mixed(hue, now.ink, share), now.paper) < TEXT:
        share += 0.05
    return _mixed(hue, now.ink, share)


def text_on(fill: Colour) -> Colour:
    """Ink or paper, whichever is easier to read on `fill`."""
    now = colours()
    return max(now.ink, now.paper, key=lambda each: contrast(each, fill))


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mixed(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue
