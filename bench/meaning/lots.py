"""Scenes drawn by lot, of objects that training never met where they stand, and the words for them."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from ...nano import scenes
from ...nano.scenes import Object, Scene

# A sentence that leaves the place out, wherever the object stands.
PLACELESS = replace(scenes.TRAINED, one=scenes.TRAINED.middle)


def thing(rng: Random, place: str, others: Sequence[Object] = ()) -> Object:
    """A large solid object that training never met at this place, of another colour and shape than the others."""
    while True:
        item = scenes.random_object(rng, place=place, size="large", fill="solid")
        distinct = all(item.colour != other.colour and item.shape != other.shape for other in others)
        if distinct and scenes.unseen(Scene((item,), "")):
            return item


def things(rng: Random, places: Sequence[str]) -> list[Object]:
    """One for each place. Only one of a few can stand somewhere, so a lot that leads nowhere is drawn again."""
    while True:
        items = [scenes.random_object(rng, place=place, size="large", fill="solid") for place in places]
        if len({item.colour for item in items}) == len(items) and all(scenes.unseen(Scene((i,), "")) for i in items):
            return items


def words(item: Object, rng: Random, patterns: scenes.Patterns = scenes.TRAINED) -> str:
    return scenes.object_caption(Scene((item,), ""), rng, patterns)


def look(background: str, rng: Random) -> str:
    return rng.choice(scenes.BACKGROUNDS[background][1])
