"""Captioned pictures of simple shapes: what the nano models learn from. Pure: numpy and the standard library.

A picture is two sentences that need not know of each other. What stands where goes to T5; how the whole picture
looks goes to CLIP. That is the division of labour the nano FLUX is meant to show, so the two captions come apart.

Every choice is a row in a table: the key is the truth, the values are how it is drawn and how it is said.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SIZE = 128  # pixels

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Five points: fold the plane into a tenth of a turn, then measure to the one edge left."""
    tenth, tip, notch = np.pi / 5, 1.12, 0.48
    angle = np.abs((np.arctan2(x, -y) + tenth) % (2 * tenth) - tenth)
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    edge_x, edge_y = notch * np.cos(tenth) - tip, notch * np.sin(tenth)
    return ((along - tip) * edge_y - across * edge_x) / np.hypot(edge_x, edge_y)


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two arcs above a right angle; after Inigo Quilez, https://iquilezles.org/articles/distfunctions2d."""
    x, y = 0.6 * np.abs(x), 0.57 - 0.6 * y
    arc = np.hypot(x - 0.25, y - 0.75) - 0.125 ** 0.5
    foot = 0.5 * np.maximum(x + y, 0)
    tip = np.minimum(np.hypot(x, y - 1), np.hypot(x - foot, y - foot)) * np.sign(x - y)
    return np.where(x + y > 1, arc, tip) / 0.6


# Signed distance to the outline, negative inside; x to the right, y down, about 1 from the centre to the rim.
SHAPES: dict[str, Distance] = {
    "circle": lambda x, y: np.hypot(x, y) - 0.95,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) - 0.84,
    "triangle": lambda x, y: np.maximum(y - 0.6, 0.866 * np.abs(x) - 0.5 * y - 0.55),
    "star": _star,
    "heart": _heart,
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.74) - 0.24,
}

# The fill and the outline, which keeps a white heart visible on snow.
COLOURS = {
    "red": ((0.88, 0.12, 0.14), (0.45, 0.03, 0.05)),
    "orange": ((0.98, 0.55, 0.08), (0.55, 0.26, 0.00)),
    "yellow": ((0.98, 0.88, 0.15), (0.55, 0.46, 0.00)),
    "green": ((0.15, 0.70, 0.25), (0.03, 0.32, 0.09)),
    "blue": ((0.15, 0.36, 0.92), (0.03, 0.11, 0.42)),
    "purple": ((0.56, 0.22, 0.78), (0.25, 0.05, 0.38)),
    "white": ((0.97, 0.97, 0.97), (0.45, 0.45, 0.48)),
    "black": ((0.07, 0.07, 0.08), (0.40, 0.40, 0.42)),
}

# The centre, in parts of the picture, and how one says it.
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

# The radius, in parts of the picture.
SIZES = {
    "large": (0.19, ("large", "big", "huge")),
    "small": (0.10, ("small", "little", "tiny")),
}


def _blend(amount: np.ndarray, *colours: tuple[float, float, float]) -> np.ndarray:
    """A gradient through the colours as amount [H, W] goes from 0 to 1 -> [H, W, 3]."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(amount, stops, channel) for channel in zip(*colours, strict=True)], axis=-1)


def _rim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x - 0.5, y - 0.5) / 0.71


def _checks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Soft-edged squares, an eighth of the picture wide."""
    wave = np.sin(8 * np.pi * x) * np.sin(8 * np.pi * y)
    return np.clip(0.5 + 4 * wave, 0, 1)


# How the whole picture looks: x and y [H, W] from 0 to 1 -> [H, W, 3], and how one says it.
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
}

OBJECT_TEMPLATES = (
    "a {size} {colour} {shape} {where}",
    "a {colour} {shape} {where}",
    "{colour} {shape}, {place}, {size}",
    "{where} there is a {size} {colour} {shape}",
    "a {colour} {shape} {where}, {size}",
    "one {size} {shape} {where}, it is {colour}",
    "the {shape} is {colour} and {size}, {where}",
    "a picture of a {size} {colour} {shape} {where}",
    "a {colour} {shape}",
)
JOINTS = (" and ", ", ", ", with ")
BACKGROUND_TEMPLATES = ("{look}", "{look}", "a picture {look}", "everything {look}")
WHOLE_TEMPLATES = ("{objects} {look}", "{objects}, {look}", "{look}, {objects}", "{objects}. {look}")


@dataclass(frozen=True)
class Object:
    """One shape. `nudge` moves it off its place, in parts of the picture."""

    colour: str
    shape: str
    place: str
    size: str = "large"
    nudge: tuple[float, float] = (0.0, 0.0)

    @property
    def centre(self) -> tuple[float, float]:
        return tuple(at + by for at, by in zip(PLACES[self.place][0], self.nudge, strict=True))

    @property
    def radius(self) -> float:
        return SIZES[self.size][0]


@dataclass(frozen=True)
class Scene:
    """Objects from back to front, before a background. `light` brightens or darkens that background."""

    objects: tuple[Object, ...]
    background: str
    light: float = 1.0


# ---- choosing

def random_object(rng: random.Random) -> Object:
    nudge = (rng.uniform(-0.025, 0.025), rng.uniform(-0.025, 0.025))
    return Object(*(rng.choice(list(table)) for table in (COLOURS, SHAPES, PLACES, SIZES)), nudge)


def _apart(one: Object, other: Object) -> bool:
    distance = np.hypot(*np.subtract(one.centre, other.centre))
    return distance > one.radius + other.radius + 0.02


def random_scene(rng: random.Random, two: float = 0.15) -> Scene:
    """A scene of one object, of two with probability `two`, which never overlap."""
    objects = [random_object(rng)]
    while rng.random() < two and len(objects) < 2:
        objects = next(
            pair for pair in iter(lambda: [random_object(rng), random_object(rng)], None) if _apart(*pair))
    return Scene(tuple(objects), rng.choice(list(BACKGROUNDS)), rng.uniform(0.94, 1.06))


def every_scene() -> list[Scene]:
    """Every scene of one object, exactly at its place: 8 colours, 6 shapes, 9 places, 2 sizes, 8 backgrounds."""
    tables = itertools.product(COLOURS, SHAPES, PLACES, SIZES, BACKGROUNDS)
    return [Scene((Object(*choice),), background) for *choice, background in tables]


# ---- drawing

@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres in parts of the picture, x and y [H, W]."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    return np.meshgrid(at, at)


@lru_cache(maxsize=4 * len(BACKGROUNDS))
def _backdrop(background: str, size: int) -> np.ndarray:
    return BACKGROUNDS[background][0](*_grid(size)).astype(np.float32)


def _coverage(item: Object, size: int, grow: float = 0.0) -> np.ndarray:
    """How much of each pixel lies inside the outline, grown by `grow` parts of the picture [H, W]."""
    (x, y), (centre_x, centre_y) = _grid(size), item.centre
    distance = SHAPES[item.shape]((x - centre_x) / item.radius, (y - centre_y) / item.radius) * item.radius
    return np.clip(0.5 - (distance - grow) * size, 0, 1)


def render(scene: Scene, size: int = SIZE) -> np.ndarray:
    """Draw a scene, anti-aliased by the distance to each outline -> uint8 [H, W, 3]."""
    picture = _backdrop(scene.background, size) * scene.light
    for item in scene.objects:
        fill, outline = COLOURS[item.colour]
        for colour, inside in ((outline, _coverage(item, size)), (fill, _coverage(item, size, -0.013))):
            picture += inside[..., None] * (np.float32(colour) - picture)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def masks(scene: Scene, size: int = SIZE) -> np.ndarray:
    """What is seen of each object, 0 to 1 -> float32 [objects, H, W]."""
    seen = np.zeros((len(scene.objects), size, size), np.float32)
    for index, item in enumerate(scene.objects):
        inside = _coverage(item, size)
        seen[:index] *= 1 - inside
        seen[index] = inside
    return seen


# ---- saying

def _articles(text: str) -> str:
    return text.replace("a orange", "an orange")


def _say_object(item: Object, rng: random.Random) -> str:
    return _articles(rng.choice(OBJECT_TEMPLATES).format(
        colour=item.colour, shape=item.shape, place=item.place,
        where=rng.choice(PLACES[item.place][1]), size=rng.choice(SIZES[item.size][1]),
    ))


def object_caption(scene: Scene, rng: random.Random) -> str:
    """What stands where, silent about the background."""
    return rng.choice(JOINTS).join(_say_object(item, rng) for item in scene.objects)


def background_caption(scene: Scene, rng: random.Random) -> str:
    """How the whole picture looks, silent about the objects."""
    return rng.choice(BACKGROUND_TEMPLATES).format(look=rng.choice(BACKGROUNDS[scene.background][1]))


def whole_caption(scene: Scene, rng: random.Random) -> str:
    """Both in one sentence."""
    look = rng.choice(BACKGROUNDS[scene.background][1])
    return rng.choice(WHOLE_TEMPLATES).format(objects=object_caption(scene, rng), look=look)


# ---- reading

@lru_cache(maxsize=1)
def _templates(size: int) -> tuple[list[Scene], np.ndarray]:
    scenes = every_scene()
    return scenes, np.stack([render(scene, size).reshape(-1) for scene in scenes]).astype(np.float32)


def read(picture: np.ndarray, size: int = 32) -> Scene:
    """The scene of one object that a uint8 [128, 128, 3] picture is closest to, in squares of 4 x 4 pixels."""
    step = picture.shape[0] // size
    small = picture.reshape(size, step, size, step, 3).mean((1, 3)).reshape(-1)
    scenes, templates = _templates(size)
    return scenes[int(((templates - small.astype(np.float32)) ** 2).sum(1).argmin())]
