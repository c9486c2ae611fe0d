"""CLIP Negative: is the background that it names gone, and is the picture still clean?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...devtools import say
from ...nano import scenes
from ...nano.pipeline import GUIDANCE
from ...nodes.condition.blend.nodes import AFTER, BEFORE, ClipNegative
from ...nodes.condition.conditioning import join
from .away import Away, plain
from .lots import look, thing, words
from .reading import TURNS, Table, clean, percent, read, shown
from .studio import Studio


def two_looks(studio: Studio) -> list[Away]:
    """The CLIP prompt names two backgrounds; the negative is the one that the plain picture shows."""
    rng = studio.rng("two looks")
    named = [
        {name: look(name, rng) for name in rng.sample(list(scenes.BACKGROUNDS), 2)} for _ in range(studio.pictures)
    ]
    items = [thing(rng, rng.choice(list(scenes.PLACES))) for _ in named]
    cases = [Away(item, ", ".join(names.values()), words(item, rng)) for item, names in zip(items, named, strict=True)]
    seen = read(studio.drawn("two looks", cases, partial(plain, studio)), most=0)
    return [
        replace(case, shown=scene.background, negative=names.get(scene.background, ""))
        for case, names, scene in zip(cases, named, seen, strict=True)
    ]


def no_look(studio: Studio) -> list[Away]:
    """The CLIP prompt is empty; the negative is the background that the plain picture shows."""
    rng = studio.rng("no look")
    items = [thing(rng, rng.choice(list(scenes.PLACES))) for _ in range(studio.pictures)]
    cases = [Away(item, "", words(item, rng)) for item in items]
    seen = read(studio.drawn("no look", cases, partial(plain, studio)), most=0)
    return [
        replace(case, shown=scene.background, negative=look(scene.background, rng))
        for case, scene in zip(cases, seen, strict=True)
    ]


@dataclass(frozen=True)
class Push:
    """CLIP Negative's settings."""

    weight: float
    where: str = AFTER
    blocks: str = "0-"

    def __str__(self) -> str:
        return f"weight {self.weight:g}, " + (f"after the MLP, blocks {self.blocks}" if self.where == AFTER else BEFORE)


def pushed(studio: Studio, push: Push, cases: Sequence[Away]) -> list:
    vec, negative = (studio.vec([getattr(each, name) for each in cases]) for name in ("clip", "negative"))
    vec = ClipNegative.execute(vec, negative, push.weight, where=push.where, blocks=push.blocks)[0]
    return join(vec, studio.txt([each.t5 for each in cases]), GUIDANCE)


WEIGHTS = (0.5, 1.0, 2.0, 3.0, 6.0)
PUSHES = (
    *(Push(weight, AFTER, blocks) for blocks in ("0-", "1-", "5-") for weight in WEIGHTS),
    *(Push(weight, BEFORE) for weight in WEIGHTS),
)


def clip_negatives(studio: Studio) -> list[Table]:
    rows = []
    for title, cases, pushes in (
        ("two named", two_looks(studio), PUSHES),
        ("none named", no_look(studio), (Push(1.0), Push(3.0), Push(3.0, BEFORE))),
    ):
        for push in pushes:
            pictures = studio.drawn(f"{title}, {push}", cases, partial(pushed, studio, push))
            rows.append([title, f"{push}", *push_verdict(cases, pictures)])
            say(f"  {rows[-1]}")
    return [
        Table(
            "CLIP Negative: the background that the plain picture shows is the negative",
            ["backgrounds in the CLIP prompt", "settings", "it is gone", "and the picture clean", *TURNS["T5"]],
            rows,
        )
    ]


def push_verdict(cases: Sequence[Away], pictures: np.ndarray) -> list[str]:
    verdicts = [
        (case, scene, clean(picture, scene))
        for case, picture, scene in zip(cases, pictures, read(pictures, most=1), strict=True)
        if case.negative
    ]
    rights = [
        percent([shown(name, scene) == getattr(case.item, name) for case, scene, _ in verdicts]) for name in TURNS["T5"]
    ]
    return [
        percent([scene.background != case.shown for case, scene, _ in verdicts]),
        percent([scene.background != case.shown and whole for case, scene, whole in verdicts]),
        *rights,
    ]
