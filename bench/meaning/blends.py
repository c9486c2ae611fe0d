"""Blend CLIP and Blend T5: does the picture show both prompts?"""

from collections.abc import Sequence
from functools import partial

from ...devtools import say
from ...nano import scenes
from ...nano.pipeline import GUIDANCE
from ...nano.scenes import Object
from ...nodes.condition.blend.nodes import BlendTxt, BlendVec
from ...nodes.condition.conditioning import join
from .lots import look, thing, things, words
from .reading import Table, percent, read
from .studio import Studio

BLENDS = (("join", 0.3), ("join", 0.5), ("both", 1.0))


def blended(studio: Studio, mode: str, weight: float, cases: Sequence[tuple[list[Object], str, list[str]]]) -> list:
    ((_, clip, texts),) = cases  # one at a time, since blends have different numbers of tokens
    one, other = map(studio.one_txt, texts)
    return join(studio.vec([clip]), BlendTxt.execute(one, mode, weight, other)[0], GUIDANCE)


def t5_blends(studio: Studio) -> Table:
    rng, cases, rows = studio.rng("blend t5"), [], []
    for _ in range(studio.pictures):
        items = things(rng, rng.choice((("left", "right"), ("top", "bottom"), ("top left", "bottom right"))))
        cases.append((items, look(rng.choice(list(scenes.BACKGROUNDS)), rng), [words(item, rng) for item in items]))
    for mode, weight in BLENDS:
        pictures = studio.drawn(f"blend {mode} {weight}", cases, partial(blended, studio, mode, weight), batch=1)
        seen = read(pictures, most=2)
        there = [
            [any((one.colour, one.place) == (item.colour, item.place) for one in scene.objects) for item in items]
            for (items, *_), scene in zip(cases, seen, strict=True)
        ]
        whole = [
            all(
                any(
                    (one.colour, one.place, one.shape) == (item.colour, item.place, item.shape) for one in scene.objects
                )
                for item in items
            )
            for (items, *_), scene in zip(cases, seen, strict=True)
        ]
        rows.append(
            [
                f"{mode} {weight:g}",
                *(percent([each[side] for each in there]) for side in (0, 1)),
                percent([all(each) for each in there]),
                percent(whole),
            ]
        )
        say(f"  {rows[-1]}")
    return Table(
        "Blend T5 of two prompts of one object each: colour and place right",
        ["mode", "the first", "the second", "both", "both, shapes too"],
        rows,
    )


def clip_blends(studio: Studio) -> Table:
    rng, rows = studio.rng("blend clip"), []
    named = [rng.sample(list(scenes.BACKGROUNDS), 2) for _ in range(studio.pictures)]
    cases = [
        (*(look(name, rng) for name in names), words(thing(rng, rng.choice(list(scenes.PLACES))), rng))
        for names in named
    ]
    for mode, weight in (("lerp", 0.3), ("lerp", 0.5), ("lerp", 0.7), ("slerp", 0.5)):

        def prompt(part, mode=mode, weight=weight):
            one, other, t5 = zip(*part, strict=True)
            vec = BlendVec.execute(studio.vec(one), mode, weight, studio.vec(other))[0]
            return join(vec, studio.txt(t5), GUIDANCE)

        seen = read(studio.drawn(f"blend {mode} {weight}", cases, prompt), most=0)
        places = [
            names.index(scene.background) if scene.background in names else 2
            for names, scene in zip(named, seen, strict=True)
        ]
        rows.append([f"{mode} {weight:g}", *(percent([place == side for place in places]) for side in range(3))])
        say(f"  {rows[-1]}")
    return Table("Blend CLIP of two backgrounds: which is shown", ["mode", "the first", "the second", "neither"], rows)


def blends(studio: Studio) -> list[Table]:
    return [t5_blends(studio), clip_blends(studio)]
