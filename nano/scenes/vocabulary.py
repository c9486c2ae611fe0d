"""The parts of scenes, as tables: name -> (how it is drawn, the words for it). Pure numpy."""

import numpy as np

from .shapes import PLAIN_SHAPES
from .things import THINGS, Field

# ---- shapes and things

SHAPES: dict[str, Field] = {**PLAIN_SHAPES, **{name: outline for name, (outline, _) in THINGS.items()}}

# What has the outline's colour inside a drawn thing.
MARKS: dict[str, Field] = {name: marks for name, (_, marks) in THINGS.items() if marks is not None}

# A drawn thing's habits: its colour if a caption names none, and the background that most of its pictures have.
HABITS = {
    "tree": ("green", "forest"),
    "house": ("red", "snow"),
    "fish": ("orange", "sea"),
    "boat": ("white", "beach"),
    "moon": ("yellow", "night"),
    "sun": ("yellow", "desert"),
    "cloud": ("white", "grass"),
    "flower": ("purple", "grass"),
    "cat": ("black", "checks"),
    "car": ("blue", "desert"),
    "cup": ("white", "pink"),
    "bird": ("blue", "sunset"),
}


# ---- colours and fills

# (fill, outline). The outline keeps a white heart visible on snow, and is the colour of stripes and dots.
COLOURS = {
    "red": ((0.88, 0.11, 0.13), (0.45, 0.03, 0.05)),
    "orange": ((0.98, 0.52, 0.06), (0.55, 0.24, 0.00)),
    "yellow": ((0.99, 0.90, 0.15), (0.55, 0.46, 0.00)),
    "green": ((0.13, 0.70, 0.24), (0.03, 0.32, 0.09)),
    "blue": ((0.10, 0.33, 0.94), (0.02, 0.10, 0.44)),
    "purple": ((0.62, 0.17, 0.76), (0.28, 0.04, 0.38)),
    "white": ((0.98, 0.98, 0.98), (0.45, 0.45, 0.48)),
    "black": ((0.07, 0.07, 0.08), (0.42, 0.42, 0.44)),
}


def _stripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Level stripes, one every 0.09, and 0.04 thick."""
    return np.abs((y / 0.09 + 0.5) % 1 - 0.5) * 0.09 - 0.02


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rows of dots, every second row half a step to the side; a step is 0.11, a dot 0.03 in radius."""
    row = np.round(y / 0.095)
    shifted = x / 0.11 + 0.5 * (row % 2)
    return np.hypot((shifted - np.round(shifted)) * 0.11, y - row * 0.095) - 0.03


# Where a fill has the outline's colour, as a signed distance relative to the picture with x and y from the object's
# centre; and the words for it, as adjectives and after the noun.
FILLS: dict[str, tuple[Field, tuple[str, ...], tuple[str, ...]]] = {
    "solid": (lambda x, y: np.full_like(x, 1.0), ("solid", "plain"), ("in one colour",)),
    "striped": (_stripes, ("striped", "stripy"), ("with stripes",)),
    "dotted": (_dots, ("dotted", "spotted"), ("with dots", "with spots")),
}


# ---- places and sizes

# The centre, relative to the picture, and the words for it.
LOW, MIDDLE, HIGH = 0.235, 0.5, 0.765
PLACES = {
    "top left": ((LOW, LOW), ("in the top left", "in the upper left corner", "at the top left")),
    "top": ((MIDDLE, LOW), ("at the top", "at the upper edge", "at the top in the middle")),
    "top right": ((HIGH, LOW), ("in the top right", "in the upper right corner", "at the top right")),
    "left": ((LOW, MIDDLE), ("on the left", "on the left side", "at the left edge")),
    "center": ((MIDDLE, MIDDLE), ("in the center", "in the middle", "right in the center")),
    "right": ((HIGH, MIDDLE), ("on the right", "on the right side", "at the right edge")),
    "bottom left": ((LOW, HIGH), ("in the bottom left", "in the lower left corner", "at the bottom left")),
    "bottom": ((MIDDLE, HIGH), ("at the bottom", "at the lower edge", "at the bottom in the middle")),
    "bottom right": ((HIGH, HIGH), ("in the bottom right", "in the lower right corner", "at the bottom right")),
}

# The radius, relative to the picture, and the words for it.
SIZES = {
    "large": (0.215, ("large", "big", "huge")),
    "small": (0.12, ("small", "little", "tiny")),
}

# The relation of the first object to the second: the places of both, and the words for it.
RELATIONS = {
    "left of": (("left", "right"), ("left of", "to the left of", "on the left of")),
    "right of": (("right", "left"), ("right of", "to the right of", "on the right of")),
    "above": (("top", "bottom"), ("above", "over", "high above")),
    "below": (("bottom", "top"), ("below", "under", "beneath")),
    "inside": (("center", "center"), ("inside", "within", "in")),
}

# How often each relation is drawn: an object inside another is small, and its place is one of nine.
RELATION_SHARES = {"left of": 0.23, "right of": 0.23, "above": 0.23, "below": 0.23, "inside": 0.08}


# ---- backgrounds


def _blend(amount: np.ndarray, *colours: tuple[float, float, float]) -> np.ndarray:
    """A gradient through the colours as amount [H, W] goes from 0 to 1 -> [H, W, 3]."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(amount, stops, channel) for channel in zip(*colours, strict=True)], axis=-1)


def _rim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x - 0.5, y - 0.5) / 0.71


def _soft_step(y: np.ndarray, at: float) -> np.ndarray:
    """0 above a level line and 1 below it."""
    return np.clip(0.5 + 24 * (y - at), 0, 1)


def _checks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Soft-edged squares, an eighth of the picture wide."""
    wave = np.sin(8 * np.pi * x) * np.sin(8 * np.pi * y)
    return np.clip(0.5 + 4 * wave, 0, 1)


# Functions of x and y [H, W] from 0 to 1 -> colours [H, W, 3], and the words for them.
BACKGROUNDS = {
    "night": (
        lambda x, y: _blend(y, (0.03, 0.04, 0.15), (0.13, 0.17, 0.38)),
        ("at night", "under a dark night sky", "in the dark of the night", "in the night"),
    ),
    "sunset": (
        lambda x, y: _blend(y, (0.42, 0.20, 0.45), (0.93, 0.45, 0.36), (1.00, 0.78, 0.42)),
        ("at sunset", "in the evening glow", "under a sunset sky", "at dusk"),
    ),
    "pink": (
        lambda x, y: _blend(_rim(x, y), (1.00, 0.80, 0.86), (0.95, 0.66, 0.76)),
        ("on pink paper", "on a pink background", "in a soft pink mood", "on rose pink paper"),
    ),
    "sea": (
        lambda x, y: _blend(y, (0.45, 0.85, 0.86), (0.05, 0.48, 0.60), (0.02, 0.24, 0.38)),
        ("under water", "deep in the sea", "in the ocean", "in turquoise water"),
    ),
    "snow": (
        lambda x, y: _blend(y, (0.78, 0.84, 0.90), (0.90, 0.93, 0.96)),
        ("in the snow", "on a winter day", "on white snow", "in pale winter light"),
    ),
    "forest": (
        lambda x, y: _blend(_rim(x, y), (0.52, 0.66, 0.38), (0.10, 0.27, 0.14)),
        ("in the forest", "in the woods", "among mossy trees", "in green forest light"),
    ),
    "desert": (
        lambda x, y: _blend(np.clip(0.5 + 12 * (y - 0.58), 0, 1), (0.68, 0.84, 0.94), (0.87, 0.72, 0.48)),
        ("in the desert", "on desert sand", "on sand under a clear sky", "on a sandy plain"),
    ),
    "checks": (
        lambda x, y: _blend(_checks(x, y), (0.80, 0.80, 0.78), (0.56, 0.57, 0.60)),
        ("on a checkered floor", "on gray checks", "on a checkerboard", "on checkered tiles"),
    ),
    "beach": (
        lambda x, y: _blend(
            (_soft_step(y, 0.4) + _soft_step(y, 0.66)) / 2, (0.62, 0.84, 0.97), (0.16, 0.56, 0.76), (0.96, 0.87, 0.66)
        ),
        ("at the beach", "on the beach", "by the seaside", "on the shore"),
    ),
    "grass": (
        lambda x, y: _blend(_soft_step(y, 0.45), (0.70, 0.86, 0.96), (0.47, 0.74, 0.30)),
        ("on the grass", "in a meadow", "on a green lawn", "in a grassy field"),
    ),
}
