"""The content of a picture, and random scenes. Pure: the standard library and numpy.

Some scenes are held out from training: one in eight combinations of colour, shape and place, and one in eight pairs of
colours and shapes in a relation. A prompt for one of them is not in the training data.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from .shapes import HOLDERS
from .things import THINGS
from .vocabulary import BACKGROUNDS, COLOURS, FILLS, HABITS, PLACES, RELATION_SHARES, RELATIONS, SHAPES, SIZES

NUDGE = 0.015  # the largest offset of an object from its place, relative to the picture
HOLD_OUT = 8  # one in HOLD_OUT combinations is held out

# The shares of scenes by number of objects, and of those with two or more whose first two are in a relation.
COUNTS = {0: 0.08, 1: 0.50, 2: 0.36, 3: 0.06}
RELATED = 0.75

# How often a drawn thing has its habitual colour, and is before its habitual background; else they are drawn by lot.
HABITUAL_COLOUR, HABITUAL_BACKGROUND = 0.35, 0.7


@dataclass(frozen=True)
class Object:
    """A shape, or a drawn thing, which is always solid. `nudge` is its offset (x, y) from its place, relative to the
    picture."""

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
    """Objects, the nearest first, in front of a background.

    `relation` is that of the first object to the second, a key of RELATIONS; "" if there is none. `light` is the
    background's brightness.
    """

    objects: tuple[Object, ...]
    background: str
    relation: str = ""
    light: float = 1.0


# ---- choosing


def random_object(rng: random.Random, **fixed: str) -> Object:
    """A random object; `fixed` sets some of its attributes."""
    tables = {"colour": COLOURS, "shape": SHAPES, "place": PLACES, "size": SIZES, "fill": FILLS}
    chosen = {name: rng.choice(list(table)) for name, table in tables.items()}
    chosen |= fixed
    if chosen["shape"] in THINGS:
        chosen["fill"] = "solid"
        if "colour" not in fixed and rng.random() < HABITUAL_COLOUR:
            chosen["colour"] = HABITS[chosen["shape"]][0]
    nudge = (rng.uniform(-NUDGE, NUDGE), rng.uniform(-NUDGE, NUDGE))
    return Object(**chosen, nudge=nudge)


def _background(rng: random.Random, objects: tuple[Object, ...]) -> str:
    """The habitual background of the first thing that has one, or any."""
    habits = [HABITS[item.shape][1] for item in objects if item.shape in HABITS]
    if habits and rng.random() < HABITUAL_BACKGROUND:
        return habits[0]
    return rng.choice(list(BACKGROUNDS))


def _apart(one: Object, other: Object) -> bool:
    distance = np.hypot(*np.subtract(one.centre, other.centre))
    return distance > one.radius + other.radius


def _holds(inner: Object, outer: Object) -> bool:
    sizes = (inner.size, outer.size) == ("small", "large")
    return sizes and outer.shape in HOLDERS and inner.colour != outer.colour


def _objects(rng: random.Random, count: int, relation: str) -> tuple[Object, ...]:
    """Draws random objects until they satisfy the relation and nothing else overlaps."""
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


def _chosen(rng: random.Random, shares: dict):
    return rng.choices(list(shares), list(shares.values()))[0]


def _draw(rng: random.Random, counts: dict[int, float]) -> Scene:
    count = _chosen(rng, counts)
    relation = _chosen(rng, RELATION_SHARES) if count > 1 and rng.random() < RELATED else ""
    objects = _objects(rng, count, relation)
    return Scene(objects, _background(rng, objects), relation, rng.uniform(0.94, 1.06))


def unseen(scene: Scene) -> bool:
    """Whether this scene is held out from training, with any background. A background alone is not."""
    combinations = [f"{item.colour} {item.shape} {item.place}" for item in scene.objects]
    if scene.relation:
        one, other = (f"{item.colour} {item.shape}" for item in scene.objects[:2])
        combinations.append(f"{one}, {other}" if one < other else f"{other}, {one}")
    return any(crc32(combination.encode()) % HOLD_OUT == 0 for combination in combinations)


def random_scene(rng: random.Random, counts: dict[int, float] = COUNTS) -> Scene:
    """A scene for training."""
    return next(scene for scene in _draws(rng, counts) if not unseen(scene))


def unseen_scene(rng: random.Random, counts: dict[int, float] = COUNTS, related: bool = False) -> Scene:
    """A held-out scene, for evaluation; with `related`, its first two objects are in a relation."""
    return next(scene for scene in _draws(rng, counts) if unseen(scene) and (scene.relation or not related))


def _draws(rng: random.Random, counts: dict[int, float]) -> Iterator[Scene]:
    while True:
        yield _draw(rng, counts)
