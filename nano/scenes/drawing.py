"""Renders scenes as pixels and as masks. Pure numpy."""

from functools import lru_cache

import numpy as np

from .scene import Object, Scene
from .vocabulary import BACKGROUNDS, COLOURS, FILLS, MARKS, SHAPES

SIZE = 128  # pixels
OUTLINE = 0.014  # width, relative to the picture


@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres x and y [H, W], relative to the picture."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    return np.meshgrid(at, at)


@lru_cache(maxsize=4 * len(BACKGROUNDS))
def _backdrop(background: str, size: int) -> np.ndarray:
    return BACKGROUNDS[background][0](*_grid(size)).astype(np.float32)


def backdrop(scene: Scene, size: int = SIZE) -> np.ndarray:
    """The background alone, float32 [H, W, 3], 0 to about 1."""
    return _backdrop(scene.background, size) * np.float32(scene.light)


def _window(item: Object, size: int) -> tuple[slice, slice]:
    """The rows and columns that an object can cover: a star's tips are at 1.12 radii."""
    reach = 1.15 * item.radius + 1 / size
    column, row = (slice(max(0, int((at - reach) * size)), int((at + reach) * size) + 1) for at in item.centre)
    return row, column


def _inside(distance: np.ndarray, size: int) -> np.ndarray:
    """The covered share of each pixel, from signed distances relative to the picture."""
    return np.clip(0.5 - distance * size, 0, 1)


def paint(picture: np.ndarray, item: Object) -> tuple[slice, slice]:
    """Draws an object onto a float picture [H, W, 3] in place; returns the window that may have changed."""
    size = picture.shape[0]
    window = _window(item, size)
    x, y = (axis[window] - at for axis, at in zip(_grid(size), item.centre, strict=True))
    distance = SHAPES[item.shape](x / item.radius, y / item.radius) * item.radius
    filled = np.minimum(_inside(distance + OUTLINE, size), 1 - _inside(FILLS[item.fill][0](x, y), size))
    if item.shape in MARKS:
        marks = MARKS[item.shape](x / item.radius, y / item.radius) * item.radius
        filled = np.minimum(filled, 1 - _inside(marks, size))
    fill, outline = (np.float32(colour) for colour in COLOURS[item.colour])
    view = picture[window]
    view += _inside(distance, size)[..., None] * (outline - view)
    view += filled[..., None] * (fill - view)
    return window


def render(scene: Scene, size: int = SIZE) -> np.ndarray:
    """Renders a scene, anti-aliased by the distance to each outline -> uint8 [H, W, 3]."""
    picture = backdrop(scene, size).copy()
    for item in reversed(scene.objects):
        paint(picture, item)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def masks(scene: Scene, size: int = SIZE) -> np.ndarray:
    """float32 [objects, H, W], 0 to 1: the visible part of each object."""
    seen, free = np.zeros((len(scene.objects), size, size), np.float32), np.ones((size, size), np.float32)
    for mask, item in zip(seen, scene.objects, strict=True):
        window = _window(item, size)
        x, y = (axis[window] - at for axis, at in zip(_grid(size), item.centre, strict=True))
        mask[window] = _inside(SHAPES[item.shape](x / item.radius, y / item.radius) * item.radius, size)
        mask *= free
        free -= mask
    return seen
