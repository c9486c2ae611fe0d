"""Drawn things, such as a tree or a fish, as signed distances. Pure numpy.

x is to the right, y down, and a thing reaches from about -0.95 to 0.95. Distances to a union are exact outside of it
alone, which is enough for edges of one pixel.
"""

from collections.abc import Callable

import numpy as np

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


def disc(x: float, y: float, radius: float) -> Field:
    return lambda right, down: np.hypot(right - x, down - y) - radius


def oval(x: float, y: float, wide: float, high: float) -> Field:
    """An ellipse with the half axes `wide` and `high`; the distance is exact at its edge, to first order."""

    def field(right: np.ndarray, down: np.ndarray) -> np.ndarray:
        across, along = (right - x) / wide, (down - y) / high
        reach = np.hypot(across, along)
        steep = np.hypot(across / wide, along / high)
        return reach * (reach - 1) / np.maximum(steep, 1e-6)

    return field


def polygon(*corners: tuple[float, float]) -> Field:
    """Any polygon; after Inigo Quilez, https://iquilezles.org/articles/distfunctions2d."""

    def field(right: np.ndarray, down: np.ndarray) -> np.ndarray:
        nearest, sign = np.full(right.shape, np.inf), np.ones(right.shape)
        for (x, y), (next_x, next_y) in zip(corners, corners[1:] + corners[:1], strict=True):
            edge_x, edge_y = next_x - x, next_y - y
            from_x, from_y = right - x, down - y
            along = np.clip((from_x * edge_x + from_y * edge_y) / (edge_x**2 + edge_y**2), 0, 1)
            nearest = np.minimum(nearest, np.hypot(from_x - edge_x * along, from_y - edge_y * along))
            left = edge_x * from_y > edge_y * from_x
            above, below = down >= y, down < next_y
            sign = np.where((above & below & left) | (~above & ~below & ~left), -sign, sign)
        return sign * nearest

    return field


def box(left: float, top: float, right: float, bottom: float) -> Field:
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def union(*parts: Field) -> Field:
    return lambda x, y: np.minimum.reduce([part(x, y) for part in parts])


def without(whole: Field, hole: Field) -> Field:
    return lambda x, y: np.maximum(whole(x, y), -hole(x, y))


def _rays(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ten bars around the centre, from 0.68 to 0.95."""
    tenth = 2 * np.pi / 10
    angle = (np.arctan2(y, x) + tenth / 2) % tenth - tenth / 2
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    return np.hypot(along - np.clip(along, 0.72, 0.88), across) - 0.08


def _petals(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Five discs around the centre, the first above it."""
    fifth = 2 * np.pi / 5
    angle = (np.arctan2(x, -y) + fifth / 2) % fifth - fifth / 2
    radius = np.hypot(x, y)
    return np.hypot(radius * np.cos(angle) - 0.54, radius * np.sin(angle)) - 0.38


_WHEELS = disc(-0.48, 0.5, 0.26), disc(0.48, 0.5, 0.26)

# name -> (the outline, what has the outline's colour inside it or None)
THINGS: dict[str, tuple[Field, Field | None]] = {
    "tree": (
        union(disc(0, -0.45, 0.48), disc(-0.4, 0.02, 0.42), disc(0.4, 0.02, 0.42), box(-0.15, 0.2, 0.15, 0.95)),
        box(-0.15, 0.42, 0.15, 0.95),
    ),
    "house": (
        union(box(-0.66, -0.15, 0.66, 0.85), polygon((-0.95, -0.12), (0, -0.92), (0.95, -0.12))),
        union(box(-0.16, 0.35, 0.2, 0.85), box(-0.5, 0.05, -0.28, 0.27), box(0.3, 0.05, 0.52, 0.27)),
    ),
    "fish": (
        union(oval(-0.2, 0, 0.74, 0.46), polygon((0.3, 0), (0.95, -0.5), (0.8, 0), (0.95, 0.5))),
        union(disc(-0.6, -0.12, 0.1), box(-0.27, -0.28, -0.17, 0.28)),
    ),
    "boat": (
        union(
            polygon((-0.95, 0.35), (0.95, 0.35), (0.6, 0.85), (-0.6, 0.85)),
            box(-0.05, -0.9, 0.05, 0.4),
            polygon((0.14, -0.92), (0.82, 0.2), (0.14, 0.2)),
            polygon((-0.14, -0.6), (-0.14, 0.2), (-0.64, 0.2)),
        ),
        box(-0.9, 0.42, 0.9, 0.54),
    ),
    "moon": (without(disc(0.14, 0, 0.9), disc(0.62, -0.12, 0.74)), None),
    "sun": (union(disc(0, 0, 0.54), _rays), None),
    "cloud": (
        union(disc(-0.52, 0.16, 0.4), disc(-0.04, -0.14, 0.52), disc(0.53, 0.14, 0.4), box(-0.52, 0.1, 0.53, 0.55)),
        None,
    ),
    "flower": (union(_petals, disc(0, 0, 0.3)), disc(0, 0, 0.26)),
    "cat": (
        union(
            oval(0, 0.2, 0.8, 0.66),
            polygon((-0.8, -0.9), (-0.12, -0.35), (-0.76, 0.1)),
            polygon((0.8, -0.9), (0.76, 0.1), (0.12, -0.35)),
        ),
        union(disc(-0.3, 0.08, 0.12), disc(0.3, 0.08, 0.12), polygon((-0.13, 0.36), (0.13, 0.36), (0, 0.52))),
    ),
    "car": (
        union(
            box(-0.95, -0.05, 0.95, 0.48),
            polygon((-0.62, 0), (-0.38, -0.5), (0.32, -0.5), (0.62, 0)),
            *_WHEELS,
        ),
        union(*_WHEELS, polygon((-0.4, -0.07), (-0.26, -0.36), (0.22, -0.36), (0.4, -0.07))),
    ),
    "cup": (
        union(
            polygon((-0.75, -0.7), (0.4, -0.7), (0.26, 0.8), (-0.61, 0.8)),
            lambda x, y: np.abs(np.hypot(x - 0.44, y + 0.05) - 0.36) - 0.12,
        ),
        box(-0.72, -0.55, 0.37, -0.42),
    ),
    "bird": (
        union(
            oval(0.02, 0.18, 0.66, 0.4),
            disc(0.5, -0.3, 0.32),
            polygon((0.72, -0.46), (1.05, -0.26), (0.72, -0.14)),
            polygon((-0.4, 0.0), (-0.98, -0.35), (-0.9, 0.3), (-0.4, 0.35)),
        ),
        union(oval(-0.12, 0.16, 0.34, 0.17), disc(0.56, -0.36, 0.08)),
    ),
}  # fmt: skip
