"""Captions of scenes. Pure: the standard library.

A caption may omit defaults: an object without a named size is large, without a named fill solid, without a named place
in the middle. So a caption describes the picture completely.
"""

import random
from dataclasses import dataclass

from .scene import Object, Scene
from .vocabulary import BACKGROUNDS, FILLS, PLACES, RELATIONS, SIZES

PLAIN = 0.5  # how often a default is named or, for places, omitted


@dataclass(frozen=True)
class Patterns:
    """Caption templates. `one` is for an object and its place, `middle` for one in the middle, `joint` joins objects,
    `pair` is for two in a relation, `look` for a background, `whole` for objects and background."""

    one: tuple[str, ...]
    middle: tuple[str, ...]
    joint: tuple[str, ...]
    pair: tuple[str, ...]
    inside: tuple[str, ...]
    look: tuple[str, ...]
    whole: tuple[str, ...]


TRAINED = Patterns(
    one=(
        "{thing} {where}",
        "{thing}, {where}",
        "{where} there is {thing}",
        "{where}, {thing}",
        "{thing} is {where}",
        "there is {thing} {where}",
        "a picture of {thing} {where}",
        "{tags}, {place}",
    ),
    middle=("{thing}", "a picture of {thing}", "there is {thing}", "{tags}", "just {thing}"),
    joint=(" and ", ", ", ", and ", " with "),
    pair=(
        "{one} {relation} {other}",
        "{one} is {relation} {other}",
        "there is {one} {relation} {other}",
        "a picture of {one} {relation} {other}",
    ),
    inside=("{other} with {one} inside", "{other} that holds {one}", "{other}, {one} inside it"),
    look=("{look}", "{look}", "a picture {look}", "everything {look}"),
    whole=("{objects} {look}", "{objects}, {look}", "{look}, {objects}", "{objects}. {look}", "{look} {objects}"),
)

# Templates for evaluation only, with words that are not in the training data.
UNTRAINED = Patterns(
    one=(
        "please draw {thing} {where}",
        "{where} one can see {thing}",
        "i want {thing} placed {where}",
        "an image showing {thing} {where}",
    ),
    middle=("please draw {thing}", "i want {thing}", "an image showing {thing}"),
    joint=(" together with ", " plus ", "; also "),
    pair=(
        "please draw {one} {relation} {other}",
        "an image showing {one} {relation} {other}",
        "i want {one} placed {relation} {other}",
    ),
    inside=("please draw {other} having {one} inside",),
    look=("the scene is {look}", "an image taken {look}"),
    whole=("{objects}; all of it {look}", "an image taken {look}: {objects}"),
)


# ---- objects


def _words(item: Object, rng: random.Random) -> tuple[list[str], str]:
    """(adjectives before the noun, the colour last; the words after the noun)."""
    (_, adjectives, afterwards), adjective, after = FILLS[item.fill], [], ""
    if item.size != "large" or rng.random() < PLAIN:
        adjective.append(rng.choice(SIZES[item.size][1]))
    if item.fill != "solid" or rng.random() < 0.3 * PLAIN:
        if rng.random() < 0.65:
            adjective.append(rng.choice(adjectives))
        else:
            after = " " + rng.choice(afterwards)
    rng.shuffle(adjective)
    return [*adjective, item.colour], after


def _thing(item: Object, rng: random.Random) -> str:
    adjectives, after = _words(item, rng)
    article = "an" if adjectives[0][0] in "aeiou" else "a"
    return " ".join([article, *adjectives, item.shape]) + after


def _tags(item: Object, rng: random.Random) -> str:
    """In the style of tags: "red circle, striped, small"."""
    adjectives, after = _words(item, rng)
    return ", ".join([f"{item.colour} {item.shape}", *adjectives[:-1], *filter(None, [after.strip()])])


def _one(item: Object, patterns: Patterns, rng: random.Random) -> str:
    plain = item.place == "center" and rng.random() < PLAIN
    return rng.choice(patterns.middle if plain else patterns.one).format(
        thing=_thing(item, rng), tags=_tags(item, rng), place=item.place, where=rng.choice(PLACES[item.place][1])
    )


def _pair(scene: Scene, patterns: Patterns, rng: random.Random) -> str:
    one, other = (_thing(item, rng) for item in scene.objects[:2])
    turned = scene.relation == "inside" and rng.random() < 0.4
    pattern = rng.choice(patterns.inside if turned else patterns.pair)
    return pattern.format(one=one, other=other, relation=rng.choice(RELATIONS[scene.relation][1]))


# ---- the three captions of a scene


def object_caption(scene: Scene, rng: random.Random, patterns: Patterns = TRAINED) -> str:
    """A caption of the objects and their places, without the background."""
    related = 2 if scene.relation else 0
    parts = [_pair(scene, patterns, rng)] if related else []
    parts += [_one(item, patterns, rng) for item in scene.objects[related:]]
    return rng.choice(patterns.joint).join(parts)


def background_caption(scene: Scene, rng: random.Random, patterns: Patterns = TRAINED) -> str:
    """A caption of the background, without the objects."""
    return rng.choice(patterns.look).format(look=rng.choice(BACKGROUNDS[scene.background][1]))


def whole_caption(scene: Scene, rng: random.Random, patterns: Patterns = TRAINED) -> str:
    """A caption of objects and background."""
    look = rng.choice(BACKGROUNDS[scene.background][1])
    return rng.choice(patterns.whole).format(objects=object_caption(scene, rng, patterns), look=look)
