"""Captions of scenes. Pure: the standard library.

A caption may omit defaults: an object without a named size is large, without a named fill solid, without a named place
in the middle; a drawn thing without a named colour has its habitual one. So a caption describes its objects completely.
"""

import random
from dataclasses import dataclass

from .scene import Object, Scene
from .vocabulary import BACKGROUNDS, FILLS, HABITS, PLACES, RELATIONS, SIZES

PLAIN = 0.5  # how often a default is named or, for places and colours, omitted
LONG = 0.15  # how often a caption is several sentences


@dataclass(frozen=True)
class Patterns:
    """Caption templates. `one` is for an object and its place, `middle` for one in the middle, `joint` joins objects,
    `pair` is for two in a relation, `look` for a background, `whole` for objects and background.

    The long ones are several sentences: `story` for an object and its place, `tale` for two in a relation, `scenery`
    for a background. A story's `noun` is the object's name alone, and `adjectives` follow it.
    """

    one: tuple[str, ...]
    middle: tuple[str, ...]
    joint: tuple[str, ...]
    pair: tuple[str, ...]
    inside: tuple[str, ...]
    look: tuple[str, ...]
    whole: tuple[str, ...]
    story: tuple[str, ...]
    tale: tuple[str, ...]
    scenery: tuple[str, ...]


TRAINED = Patterns(
    one=(
        "{thing} {where}",
        "{thing}, {where}",
        "{where} there is {thing}",
        "{where}, {thing}",
        "{thing} is {where}",
        "there is {thing} {where}",
        "a picture of {thing} {where}",
        "{thing} can be seen {where}",
        "{where} we see {thing}",
        "a drawing that shows {thing} {where}",
        "{tags}, {place}",
    ),
    middle=("{thing}", "a picture of {thing}", "there is {thing}", "{tags}", "just {thing}", "a drawing of {thing}"),
    joint=(" and ", ", ", ", and ", " with ", " as well as ", ", next to that "),
    pair=(
        "{one} {relation} {other}",
        "{one} is {relation} {other}",
        "there is {one} {relation} {other}",
        "a picture of {one} {relation} {other}",
        "we see {one} {relation} {other}",
        "a drawing of {one} that is {relation} {other}",
    ),
    inside=("{other} with {one} inside", "{other} that holds {one}", "{other}, {one} inside it"),
    look=("{look}", "{look}", "a picture {look}", "everything {look}", "a scene {look}", "somewhere {look}"),
    whole=("{objects} {look}", "{objects}, {look}", "{look}, {objects}", "{objects}. {look}", "{look} {objects}"),
    story=(
        "the picture shows {noun}. it is {adjectives}. it is {where}.",
        "look at {noun} in this picture. you find it {where}, and it is {adjectives}.",
        "this is a simple drawing. it has {thing} in it, {where}. nothing else stands out.",
        "someone has drawn {noun} here. it was put {where}. as you can see, it is {adjectives}.",
    ),
    tale=(
        "the picture shows two things. one is {one}. it is {relation} {other}.",
        "this is a simple drawing with {one} in it. the other thing is {other}. "
        "the first one is {relation} the second.",
        "look at the two things in this picture. {one} is {relation} {other}.",
    ),
    scenery=(
        "the whole scene is {look}. there is nothing more to say about it.",
        "all of this was drawn {look}. the light is even and the air is calm.",
        "behind it one sees where we are. it is {look}.",
    ),
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
    look=("the place is {look}", "an image taken {look}"),
    whole=("{objects}; all of it {look}", "an image taken {look}: {objects}"),
    story=(
        "my sister painted {noun} yesterday. she placed it {where}. its paint is {adjectives}, and i like that.",
        "imagine {thing}. please draw that {where}, without any frame or text.",
    ),
    tale=(
        "my sister painted two items yesterday. she placed {one} {relation} {other}.",
        "imagine two items. please draw {one} {relation} {other}, without any frame or text.",
    ),
    scenery=("she painted it {look}. i like that.", "please make it look as if taken {look}."),
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
    return [*adjective, *_colour(item, rng)], after


def _colour(item: Object, rng: random.Random) -> list[str]:
    """The colour, which may be omitted if it is the thing's habit."""
    habitual = item.shape in HABITS and HABITS[item.shape][0] == item.colour
    return [] if habitual and rng.random() < PLAIN else [item.colour]


def _with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _thing(item: Object, rng: random.Random) -> str:
    adjectives, after = _words(item, rng)
    return _with_article(" ".join([*adjectives, item.shape])) + after


def _tags(item: Object, rng: random.Random) -> str:
    """In the style of tags: "red circle, striped, small"."""
    adjectives, after = _words(item, rng)
    colour = adjectives[-1:] if adjectives[-1:] == [item.colour] else []
    rest = adjectives[: len(adjectives) - len(colour)]
    return ", ".join([" ".join([*colour, item.shape]), *rest, *filter(None, [after.strip()])])


def _one(item: Object, patterns: Patterns, rng: random.Random) -> str:
    plain = item.place == "center" and rng.random() < PLAIN
    return rng.choice(patterns.middle if plain else patterns.one).format(
        thing=_thing(item, rng), tags=_tags(item, rng), place=item.place, where=rng.choice(PLACES[item.place][1])
    )


def _story(item: Object, patterns: Patterns, rng: random.Random) -> str:
    adjectives, after = _words(item, rng)
    described = [*adjectives, *filter(None, [after.strip()])] or [item.colour]
    return rng.choice(patterns.story).format(
        noun=_with_article(item.shape),
        adjectives=" and ".join(described),
        thing=_thing(item, rng),
        where=rng.choice(PLACES[item.place][1]),
    )


def _pair(scene: Scene, patterns: Patterns, rng: random.Random, long: bool) -> str:
    one, other = (_thing(item, rng) for item in scene.objects[:2])
    turned = scene.relation == "inside" and rng.random() < 0.4
    pattern = rng.choice(patterns.tale if long else patterns.inside if turned else patterns.pair)
    return pattern.format(one=one, other=other, relation=rng.choice(RELATIONS[scene.relation][1]))


def _objects(scene: Scene, rng: random.Random, patterns: Patterns, long: bool) -> str:
    related = 2 if scene.relation else 0
    parts = [_pair(scene, patterns, rng, long)] if related else []
    parts += [(_story if long else _one)(item, patterns, rng) for item in scene.objects[related:]]
    return (" " if long else rng.choice(patterns.joint)).join(parts)


# ---- the three captions of a scene; `long` is how often they are several sentences


def object_caption(scene: Scene, rng: random.Random, patterns: Patterns = TRAINED, long: float = LONG) -> str:
    """A caption of the objects and their places, without the background; empty if there is no object."""
    return _objects(scene, rng, patterns, rng.random() < long)


def background_caption(scene: Scene, rng: random.Random, patterns: Patterns = TRAINED, long: float = LONG) -> str:
    """A caption of the background, without the objects."""
    chosen = patterns.scenery if rng.random() < long else patterns.look
    return rng.choice(chosen).format(look=rng.choice(BACKGROUNDS[scene.background][1]))


def whole_caption(scene: Scene, rng: random.Random, patterns: Patterns = TRAINED, long: float = LONG) -> str:
    """A caption of objects and background."""
    if not scene.objects:
        return background_caption(scene, rng, patterns, long)
    if rng.random() < long:
        parts = [_objects(scene, rng, patterns, True), background_caption(scene, rng, patterns, 1.0)]
        return " ".join(parts)
    look = rng.choice(BACKGROUNDS[scene.background][1])
    return rng.choice(patterns.whole).format(objects=_objects(scene, rng, patterns, False), look=look)
