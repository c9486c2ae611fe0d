"""Random scenes with objects that the training data does not have at their place, and captions for them."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from ...nano import scenes
from ...nano.scenes import Object, Scene

# Captions without the place.
PLACELESS = replace(scenes.TRAINED, one=scenes.TRAINED.middle)


def thing(rng: Random, place: str, others: Sequence[Object] = ()) -> Object:
    """A large solid object that the training data does not have at this place, unlike `others` in colour and shape."""
    while True:
        item = scenes.random_object(rng, place=place, size="large", fill="solid")
        distinct = all(item.colour != other.colour and item.shape != other.shape for other in others)
        if distinct and scenes.unseen(Scene((item,), "")):
            return item


def things(rng: Random, places: Sequence[str]) -> list[Object]:
    """An object for each place, in different colours. Few are possible at each place, so failed draws are repeated."""
    while True:
        items = [scenes.random_object(rng, place=place, size="large", fill="solid") for place in places]
        if len({item.colour for item in items}) == len(items) and all(scenes.unseen(Scene((i,), "")) for i in items):
            return items


def words(item: Object, rng: Random, patterns: scenes.Patterns = scenes.TRAINED) -> str:
    return scenes.object_caption(Scene((item,), ""), rng, patterns)


def look(background: str, rng: Random) -> str:
    return rng.choice(scenes.BACKGROUNDS[background][1])
