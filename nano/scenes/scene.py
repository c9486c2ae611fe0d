"""What a picture shows, and how one is drawn by lot. Pure: the standard library and numpy.

Some scenes are kept out of training: every eighth combination of colour, shape and place, and every eighth pair of
colours and shapes in a relation. A prompt about one of them is a prompt that training never saw.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from .vocabulary import BACKGROUNDS, COLOURS, FILLS, HOLDERS, PLACES, RELATIONS, SHAPES, SIZES

NUDGE = 0.015  # how far an object may stand from its place, in parts of the picture
HOLD_OUT = 8  # one in so many

# How many scenes have so many objects, and in how many of those with two or more the first two are in a relation.
COUNTS = {1: 0.55, 2: 0.37, 3: 0.08}
RELATED = 0.75


@dataclass(frozen=True)
class Object:
    """One shape. `nudge` moves it off its place, in parts of the picture."""

    colour: str
    shape: str
    place: str = "center"
    size: str = "large"
    fill: str = "solid"
    nudge: tuple[float, float] = (0.0, 0.0)

    @property
    def centre(self) -> tuple[float, float]:
        return tuple(at + by for at, by in zip(PLACES[self.place][0], self.nudge, strict=True))

    @property
    def radius(self) -> float:
        return SIZES[self.size][0]


@dataclass(frozen=True)
class Scene:
    """Objects, the nearest first, before a background.

    `relation` is what the first object is to the second: a key of RELATIONS, or "" where their places say enough.
    `light` brightens or darkens the background.
    """

    objects: tuple[Object, ...]
    background: str
    relation: str = ""
    light: float = 1.0


# ---- choosing


def random_object(rng: random.Random, **fixed: str) -> Object:
    """An object drawn by lot, but for what is fixed."""
    tables = {"colour": COLOURS, "shape": SHAPES, "place": PLACES, "size": SIZES, "fill": FILLS}
    chosen = {name: rng.choice(list(table)) for name, table in tables.items()}
    nudge = (rng.uniform(-NUDGE, NUDGE), rng.uniform(-NUDGE, NUDGE))
    return Object(**{**chosen, **fixed}, nudge=nudge)


def _apart(one: Object, other: Object) -> bool:
    distance = np.hypot(*np.subtract(one.centre, other.centre))
    return distance > one.radius + other.radius


def _holds(inner: Object, outer: Object) -> bool:
    sizes = (inner.size, outer.size) == ("small", "large")
    return sizes and outer.shape in HOLDERS and inner.colour != outer.colour


def _objects(rng: random.Random, count: int, relation: str) -> tuple[Object, ...]:
    """Draw until the objects stand as the relation says and nothing else overlaps."""
    places = RELATIONS[relation][0] if relation else ()
    while True:
        fixed = [{"place": place} for place in places] + [{}] * (count - len(places))
        objects = tuple(random_object(rng, **place) for place in fixed)
        inside = relation == "inside"
        if inside and not _holds(*objects[:2]):
            continue
        free = objects[1:] if inside else objects
        if all(_apart(one, other) for index, one in enumerate(free) for other in free[:index]):
            return objects


def _draw(rng: random.Random, counts: dict[int, float]) -> Scene:
    count = rng.choices(list(counts), list(counts.values()))[0]
    relation = rng.choice(list(RELATIONS)) if count > 1 and rng.random() < RELATED else ""
    objects = _objects(rng, count, relation)
    return Scene(objects, rng.choice(list(BACKGROUNDS)), relation, rng.uniform(0.94, 1.06))


def unseen(scene: Scene) -> bool:
    """Whether training never meets this scene, whatever its background."""
    said = [f"{item.colour} {item.shape} {item.place}" for item in scene.objects]
    if scene.relation:
        one, other = (f"{item.colour} {item.shape}" for item in scene.objects[:2])
        said.append(f"{one}, {other}" if one < other else f"{other}, {one}")
    return any(crc32(words.encode()) % HOLD_OUT == 0 for words in said)


def random_scene(rng: random.Random, counts: dict[int, float] = COUNTS) -> Scene:
    """A scene for training."""
    return next(scene for scene in _draws(rng, counts) if not unseen(scene))


def unseen_scene(rng: random.Random, counts: dict[int, float] = COUNTS, related: bool = False) -> Scene:
    """A scene for judging, that training never meets; with `related`, one whose first two objects are in a relation."""
    return next(scene for scene in _draws(rng, counts) if unseen(scene) and (scene.relation or not related))


def _draws(rng: random.Random, counts: dict[int, float]) -> Iterator[Scene]:
    while True:
        yield _draw(rng, counts)
