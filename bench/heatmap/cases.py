"""Unseen scenes, their prompts, what names each object in them, and where it is. Pure: numpy, torch."""

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from ...nano import scenes

# An image token is an object's if more than this share of it is covered. Otsu's threshold cuts most masks near it, so
# that the ceiling is high: 0.89 on 8 x 8 tokens, where it is 0.81 at 0.4 and 0.69 if half of a token has to be covered.
INSIDE = 0.3

# What names an object: the names of the columns, in the order of preference at equal scores.
NOUN, COLOUR, PHRASE, CLAUSE = "noun", "colour", "phrase", "phrase + place"
QUERIES = (NOUN, COLOUR, PHRASE, CLAUSE)


@dataclass(frozen=True)
class Case:
    """A scene, its two prompts, and of each object the parts of the T5 prompt that name it: {query: its parts}."""

    scene: scenes.Scene
    clip: str
    t5: str
    named: tuple[dict[str, tuple[str, ...]], ...]

    def coverage(self, side: int) -> Tensor:
        """[objects, side, side]: the share of each image token that the object covers."""
        each = scenes.SIZE // side
        return torch.from_numpy(scenes.masks(self.scene)).unflatten(1, (side, each)).unflatten(3, (side, each)).mean(
            (2, 4)
        )  # fmt: skip


def cases(count: int, seed: int) -> list[Case]:
    """The even ones have one object, the odd ones two, which differ in colour and noun."""
    rng = random.Random(f"heatmap {seed}")
    return [next(_cases(rng, 1 + number % 2)) for number in range(count)]


def is_train(number: int) -> bool:
    """Whether the case with this number is in the half on which the default is chosen."""
    return number // 2 % 2 == 0


def _cases(rng: random.Random, objects: int) -> Iterator[Case]:
    while True:
        scene = scenes.unseen_scene(rng, {objects: 1.0})
        t5 = scenes.object_caption(scene, rng)
        known = [name for item in scene.objects for name in (item.shape, item.colour)]
        counted = Counter(_words(t5))
        if any(counted[name] != 1 for name in known):  # another word for it, or the same word twice
            continue
        case = Case(scene, scenes.background_caption(scene, rng), t5, tuple(named(t5, each) for each in scene.objects))
        if (case.coverage(8) > INSIDE).flatten(1).any(1).all():
            yield case


def named(t5: str, item: scenes.Object) -> dict[str, tuple[str, ...]]:
    """What names an object in the prompt, by query."""
    whole = phrase(t5, item.shape)
    place = max((each for each in (item.place, *scenes.PLACES[item.place][1]) if each in t5), key=len, default=None)
    return {
        NOUN: (item.shape,),
        COLOUR: (item.colour,),
        PHRASE: (whole,),
        CLAUSE: (whole, place) if place else (whole,),
    }


def phrase(t5: str, noun: str) -> str:
    """The noun with the adjectives before it: "large red circle"."""
    found = list(re.finditer(r"\w+", t5))
    at = next(number for number, word in enumerate(found) if word[0] == noun)
    first = at
    while first and found[first - 1][0] in ADJECTIVES and t5[found[first - 1].end()] == " ":
        first -= 1
    return t5[found[first].start() : found[at].end()]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


ADJECTIVES = {
    *scenes.COLOURS,
    *chain.from_iterable(words for _, words in scenes.SIZES.values()),
    *chain.from_iterable(words for _, words, _ in scenes.FILLS.values()),
}


def truths(found: list[Case], side: int) -> tuple[Tensor, Tensor, Tensor]:
    """(coverage, truth, other) of all objects of all cases, one after the other, each [N, side, side].

    `truth` is True where the token is the object's, `other` where it is another object's of the same picture.
    """
    each = [case.coverage(side) for case in found]
    hard = [covered > INSIDE for covered in each]
    others = [torch.stack([hard_[np.arange(len(hard_)) != at].any(0) for at in range(len(hard_))]) for hard_ in hard]
    return torch.cat(each), torch.cat(hard), torch.cat(others)
