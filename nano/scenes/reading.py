"""A picture read back as the scene it shows, by drawing. Pure numpy.

First the background that explains most of the picture; then, as long as one more object explains some of the rest, the
object that explains most. What differs by more than a limit counts as simply wrong, so that what is not yet drawn does
not decide what is. A picture may hold no object at all: the reader is not made to guess.
"""

from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np

from .drawing import backdrop, paint
from .scene import Object, Scene
from .vocabulary import BACKGROUNDS, COLOURS, FILLS, PLACES, SHAPES, SIZES

COARSE = 64  # pixels of the first look
LIMIT = 0.12  # squared distance of two colours, from which on they are simply different
LEAST = 7.0  # what an object must explain, in squared distance summed over 128 x 128 pixels; the faintest explain 21
LIGHTS = np.linspace(0.88, 1.12, 9)
STEPS = np.linspace(-0.03, 0.03, 5)  # how far from its place an object is looked for, and then finer
FINE = np.linspace(-0.0075, 0.0075, 3)


def _error(picture: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """[..., H, W, 3] -> [..., H, W]"""
    difference = picture - drawn
    return np.minimum(np.einsum("...c,...c->...", difference, difference), LIMIT)  # three times faster than sum(-1)


def _shrink(picture: np.ndarray, size: int) -> np.ndarray:
    step = picture.shape[0] // size
    return picture.reshape(size, step, size, step, 3).mean((1, 3))


def read_background(picture: np.ndarray) -> Scene:
    """The bare scene that a float [H, W, 3] picture is closest to."""
    small = _shrink(picture, 32)
    bare = [Scene((), name, light=float(light)) for name in BACKGROUNDS for light in LIGHTS]
    return min(bare, key=lambda scene: _error(small, backdrop(scene, 32)).sum())


# ---- objects


@lru_cache(maxsize=1)
def _stamps() -> list[tuple[tuple[slice, slice], list[Object], np.ndarray, np.ndarray]]:
    """For each place and size: a window, the objects that can stand there, and how they are drawn on any canvas:
    canvas * let_through + added, both float32 [objects, h, w, 3]."""
    stamps = []
    for place, size in product(PLACES, SIZES):
        items = [Object(colour, shape, place, size, fill) for colour, shape, fill in product(COLOURS, SHAPES, FILLS)]
        on_black, on_white = np.zeros((2, len(items), COARSE, COARSE, 3), np.float32)
        on_white += 1
        for item, black, white in zip(items, on_black, on_white, strict=True):
            paint(black, item)
            window = paint(white, item)  # the same for all of them
        every = (slice(None), *window)
        added = on_black[every].copy()
        stamps.append((window, items, on_white[every] - added, added))
    return stamps


def _likely(picture: np.ndarray, canvas: np.ndarray, count: int) -> list[Object]:
    """The objects, each exactly at its place, that would explain most of a small picture."""
    found = []
    for window, items, let_through, added in _stamps():
        part, before = picture[window], canvas[window]
        gain = _error(part, before).sum() - _error(part, before * let_through + added).sum((1, 2))
        found += [(gain[index], items[index]) for index in np.argsort(gain)[-count:]]
    return [item for _, item in sorted(found, key=lambda pair: pair[0])[-count:]]


def _gain(picture: np.ndarray, canvas: np.ndarray, item: Object) -> float:
    drawn = canvas.copy()
    window = paint(drawn, item)
    return float((_error(picture[window], canvas[window]) - _error(picture[window], drawn[window])).sum())


def _moved(item: Object, steps: np.ndarray) -> list[Object]:
    x, y = item.nudge
    return [replace(item, nudge=(float(x + right), float(y + down))) for right, down in product(steps, steps)]


def _next_object(picture: np.ndarray, canvas: np.ndarray, near: int = 4) -> Object | None:
    """The object that explains most of what the canvas does not show yet."""
    likely = _likely(_shrink(picture, COARSE), _shrink(canvas, COARSE), near)
    moved = [other for item in likely for other in _moved(item, STEPS)]
    best = max(moved, key=lambda item: _gain(picture, canvas, item))
    best = max(_moved(best, FINE), key=lambda item: _gain(picture, canvas, item))
    return best if _gain(picture, canvas, best) >= LEAST else None


def read(picture: np.ndarray, most: int = 3) -> Scene:
    """The scene that a uint8 [128, 128, 3] picture shows, with up to `most` objects, the nearest first.

    The relation is "inside" where the second object lies within the first's outline, and otherwise left to the places.
    """
    picture = picture.astype(np.float32) / 255
    scene = read_background(picture)
    canvas = backdrop(scene, picture.shape[0]).copy()
    while len(scene.objects) < most and (item := _next_object(picture, canvas)) is not None:
        paint(canvas, item)
        scene = replace(scene, objects=(item, *scene.objects))
    places = [item.place for item in scene.objects]
    return replace(scene, relation="inside" if len(set(places)) < len(places) else "")
