"""T5 Negative (NAG) and true CFG: is the object that the negative names gone, and is the picture still clean?"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ...devtools import say
from ...nano import scenes
from ...nano.pipeline import GUIDANCE
from ...nodes.condition.conditioning import join
from ...nodes.condition.place.nodes import NegativeTxt
from .away import Away, plain
from .lots import look, thing, things, words
from .reading import TURNS, Table, clean, percent, read, shown, shows
from .studio import Studio

NAGS = {
    "none": {},
    "default": {"scale": 5.0},
    "scale 10, alpha 0.5": {"scale": 10.0, "alpha": 0.5},
    "scale 3, alpha 1": {"scale": 3.0, "alpha": 1.0},
    "scale 10, tau 5, alpha 1": {"scale": 10.0, "tau": 5.0, "alpha": 1.0},
}


def unsaid(studio: Studio, name: str) -> list[Away]:
    """The T5 prompt does not name an object's colour or shape (`name`); the negative names the plain picture's."""
    rng = studio.rng(f"unsaid {name}")
    items = [thing(rng, rng.choice(list(scenes.PLACES))) for _ in range(studio.pictures)]
    texts = {"colour": "a {0.shape} {1}", "shape": "something {0.colour} {1}"}
    cases = [
        Away(
            item,
            look(rng.choice(list(scenes.BACKGROUNDS)), rng),
            texts[name].format(item, rng.choice(scenes.PLACES[item.place][1])),
        )
        for item in items
    ]
    seen = read(studio.drawn(f"unsaid {name}", cases, partial(plain, studio)), most=1)
    found = [
        replace(case.item, **{name: shown(name, scene)}) if scene.objects else None
        for case, scene in zip(cases, seen, strict=True)
    ]
    return [
        case
        if item is None
        else replace(case, item=item, shown=getattr(item, name), negative=f"a {item.colour} {item.shape}")
        for case, item in zip(cases, found, strict=True)
    ]


def two_said(studio: Studio) -> list[Away]:
    """The T5 prompt names two objects; the negative is the second one, without its place."""
    rng, cases = studio.rng("two said"), []
    for _ in range(studio.pictures):
        places = rng.choice((("left", "right"), ("top", "bottom"), ("right", "left"), ("bottom", "top")))
        items = things(rng, places)
        cases.append(
            Away(
                items[0],
                look(rng.choice(list(scenes.BACKGROUNDS)), rng),
                " and ".join(words(item, rng) for item in items),
                items[1].colour,
                f"a {items[1].colour} {items[1].shape}",
            )
        )
    return cases


def nagged(studio: Studio, settings: dict, cases: Sequence[Away]) -> list:
    txt = studio.txt([each.t5 for each in cases])
    if settings:
        txt = NegativeTxt.execute(txt, studio.txt([each.negative for each in cases]), **settings)[0]
    return join(studio.vec([each.clip for each in cases]), txt, GUIDANCE)


def negated(studio: Studio, cases: Sequence[Away]) -> list:
    """The negative of true CFG: the same CLIP prompt, the negative as T5 prompt."""
    return plain(studio, [replace(each, t5=each.negative) for each in cases])


def nag_verdict(name: str, cases: Sequence[Away], pictures: np.ndarray) -> list[str]:
    """A row's cells. `name` is the attribute that identifies the negative's object."""
    verdicts = [
        (case, scene, clean(picture, scene))
        for case, picture, scene in zip(cases, pictures, read(pictures, most=2), strict=True)
        if case.negative
    ]
    # Without the attribute that the negative removes: that is the first column.
    kept = [
        percent(
            [
                shows(scene, other, getattr(case.item, other))
                for case, scene, _ in verdicts
                if getattr(case.item, other) != case.shown
            ]
        )
        for other in TURNS["T5"]
    ]
    return [
        percent([not shows(scene, name, case.shown) for case, scene, _ in verdicts]),
        percent([not shows(scene, name, case.shown) and whole for case, scene, whole in verdicts]),
        *kept,
    ]


def t5_negatives(studio: Studio) -> list[Table]:
    kinds = (
        ("a colour that T5 leaves open", "colour", unsaid(studio, "colour")),
        ("a shape that T5 leaves open", "shape", unsaid(studio, "shape")),
        ("the second of two objects that T5 names", "colour", two_said(studio)),
    )
    rows = []
    for title, name, cases in kinds:
        for setting, settings in NAGS.items():
            pictures = studio.drawn(f"{title}, {setting}", cases, partial(nagged, studio, settings))
            rows.append([title, setting, *nag_verdict(name, cases, pictures)])
            say(f"  {rows[-1]}")
        for cfg in (1.5, 3.0):
            pictures = studio.drawn(f"{title}, cfg {cfg}", cases, partial(plain, studio), partial(negated, studio), cfg)
            rows.append([title, f"true CFG {cfg:g} instead", *nag_verdict(name, cases, pictures)])
            say(f"  {rows[-1]}")
    return [
        Table(
            "T5 Negative (NAG): what the plain picture shows is the negative",
            ["negative", "settings", "it is gone", "and the picture clean", *TURNS["T5"]],
            rows,
        )
    ]
