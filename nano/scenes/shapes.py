"""Six plain shapes, as signed distances. Pure numpy."""

import numpy as np

from .things import Field


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Five points: fold the plane into a tenth of a turn, then measure to the one edge left."""
    tenth, tip, notch = np.pi / 5, 1.12, 0.48
    y = y - 0.08  # a star's tip is farther from the centre than its base
    angle = np.abs((np.arctan2(x, -y) + tenth) % (2 * tenth) - tenth)
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    edge_x, edge_y = notch * np.cos(tenth) - tip, notch * np.sin(tenth)
    return ((along - tip) * edge_y - across * edge_x) / np.hypot(edge_x, edge_y)


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two arcs above a right angle; after Inigo Quilez, https://iquilezles.org/articles/distfunctions2d."""
    x, y = 0.6 * np.abs(x), 0.57 - 0.6 * y
    arc = np.hypot(x - 0.25, y - 0.75) - 0.125**0.5
    foot = 0.5 * np.maximum(x + y, 0)
    tip = np.minimum(np.hypot(x, y - 1), np.hypot(x - foot, y - foot)) * np.sign(x - y)
    return np.where(x + y > 1, arc, tip) / 0.6


# Signed distance to the outline, negative inside; x to the right, y down, about 1 from the centre to the rim.
PLAIN_SHAPES: dict[str, Field] = {
    "circle": lambda x, y: np.hypot(x, y) - 0.95,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) - 0.84,
    "triangle": lambda x, y: np.maximum(y - 0.8, 0.866 * np.abs(x) - 0.5 * y - 0.45),
    "star": _star,
    "heart": _heart,
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.72) - 0.24,
}

# Shapes that can contain another one.
HOLDERS = ("circle", "square", "heart")
