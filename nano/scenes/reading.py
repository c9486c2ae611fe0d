"""Reads the scene that a picture shows, by rendering candidates (analysis by synthesis). Pure numpy.

First the background with the smallest error is chosen; then, as long as one more object reduces the error enough, the
object that reduces it most. The error of a pixel is limited, so that objects not found yet do not affect the choice. A
picture may have no object.
"""

from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np

from .drawing import backdrop, paint
from .scene import Object, Scene
from .things import THINGS
from .vocabulary import BACKGROUNDS, COLOURS, FILLS, PLACES, SHAPES, SIZES

COARSE = 64  # pixels of the first pass
LIMIT = 0.12  # the largest squared distance of two colours that counts
LEAST = 7.0  # the error that an object must remove, summed over 128 x 128 pixels; the faintest objects remove 21
LIGHTS = np.linspace(0.88, 1.12, 9)
STEPS = np.linspace(-0.03, 0.03, 5)  # offsets from its place at which an object is searched, then in FINE steps
FINE = np.linspace(-0.0075, 0.0075, 3)


def _error(picture: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """[..., H, W, 3] -> [..., H, W]: the limited squared distance of the colours."""
    difference = picture - drawn
    return np.minimum(np.einsum("...c,...c->...", difference, difference), LIMIT)  # three times faster than sum(-1)


def _shrink(picture: np.ndarray, size: int) -> np.ndarray:
    step = picture.shape[0] // size
    return picture.reshape(size, step, size, step, 3).mean((1, 3))


def read_background(picture: np.ndarray) -> Scene:
    """The scene without objects that a float picture [H, W, 3] is closest to."""
    small = _shrink(picture, 32)
    bare = [Scene((), name, light=float(light)) for name in BACKGROUNDS for light in LIGHTS]
    return min(bare, key=lambda scene: _error(small, backdrop(scene, 32)).sum())


# ---- objects


@lru_cache(maxsize=1)
def _stamps() -> list[tuple[tuple[slice, slice], list[Object], np.ndarray, np.ndarray]]:
    """For each place and size: (window, possible objects, let_through, added).

    An object drawn on a canvas is canvas * let_through + added, both float32 [objects, h, w, 3].
    """
    stamps = []
    for place, size in product(PLACES, SIZES):
        items = [
            Object(colour, shape, place, size, fill)
            for colour, shape, fill in product(COLOURS, SHAPES, FILLS)
            if fill == "solid" or shape not in THINGS
        ]
        on_black, on_white = np.zeros((2, len(items), COARSE, COARSE, 3), np.float32)
        on_white += 1
        for item, black, white in zip(items, on_black, on_white, strict=True):
            paint(black, item)
            window = paint(white, item)  # the same for all items
        every = (slice(None), *window)
        added = on_black[every].copy()
        stamps.append((window, items, on_white[every] - added, added))
    return stamps


def _likely(picture: np.ndarray, canvas: np.ndarray, count: int) -> list[Object]:
    """The `count` objects, each exactly at its place, that reduce a small picture's error most."""
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
    """The object that reduces the error of the canvas most; None if it reduces it by less than LEAST."""
    likely = _likely(_shrink(picture, COARSE), _shrink(canvas, COARSE), near)
    moved = [other for item in likely for other in _moved(item, STEPS)]
    best = max(moved, key=lambda item: _gain(picture, canvas, item))
    best = max(_moved(best, FINE), key=lambda item: _gain(picture, canvas, item))
    return best if _gain(picture, canvas, best) >= LEAST else None


def read(picture: np.ndarray, most: int = 3) -> Scene:
    """The scene that a uint8 picture [128, 128, 3] shows, with up to `most` objects, the nearest first.

    The relation is "inside" if two objects have the same place, else "".
    """
    picture = picture.astype(np.float32) / 255
    scene = read_background(picture)
    canvas = backdrop(scene, picture.shape[0]).copy()
    while len(scene.objects) < most and (item := _next_object(picture, canvas)) is not None:
        paint(canvas, item)
        scene = replace(scene, objects=(item, *scene.objects))
    places = [item.place for item in scene.objects]
    return replace(scene, relation="inside" if len(set(places)) < len(places) else "")
