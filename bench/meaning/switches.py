"""Prompt Schedule: which scene is shown if the prompt switches during the run?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import mean

import comfy.samplers

from ...devtools import say
from ...nano import scenes
from ...nano.pipeline import GUIDANCE, STEPS
from ...nano.scenes import Scene
from ...nodes.condition.conditioning import join
from ...nodes.condition.time.nodes import Schedule
from .lots import thing
from .reading import TURNS, Table, read, shown
from .studio import Studio


@dataclass(frozen=True)
class Pair:
    """Two scenes that differ in background, place, colour and shape."""

    one: Scene
    other: Scene


def pairs(studio: Studio, rng: Random) -> list[Pair]:
    out = []
    for _ in range(studio.pictures):
        backgrounds, places = (rng.sample(list(names), 2) for names in (scenes.BACKGROUNDS, scenes.PLACES))
        one = thing(rng, places[0])
        other = thing(rng, places[1], [one])
        out.append(Pair(Scene((one,), backgrounds[0]), Scene((other,), backgrounds[1])))
    return out


def switch_at(studio: Studio, stream: str, step: int, cases: Sequence[Pair]) -> list:
    """The first scene's prompts up to a step, and from there on the second scene's prompt in one stream."""
    rng = studio.rng("said")
    captions = [
        [
            scenes.object_caption(each.one, rng),
            scenes.object_caption(each.other, rng),
            scenes.background_caption(each.one, rng),
            scenes.background_caption(each.other, rng),
        ]
        for each in cases
    ]
    t5_one, t5_other, clip_one, clip_other = zip(*captions, strict=True)
    turned = {"T5": (t5_one, t5_other), "CLIP": (clip_one, clip_other)}[stream]
    if step in (0, STEPS):
        ends = {"T5": t5_one, "CLIP": clip_one, stream: turned[step == 0]}
        return join(studio.vec(ends["CLIP"]), studio.txt(ends["T5"]), GUIDANCE)
    prompts = {"vec1": studio.vec(clip_one)}, {"txt1": studio.txt(t5_one)}
    name, encode = ("txt2", studio.txt) if stream == "T5" else ("vec2", studio.vec)
    prompts[stream == "T5"][name] = encode(turned[1])
    timeline = f"1\n@{step} 2"
    lines = ("1", timeline) if stream == "T5" else (timeline, "1")
    return Schedule.execute(*prompts, *lines, GUIDANCE)[0]


def switches(studio: Studio) -> list[Table]:
    cases = pairs(studio, studio.rng("switch"))
    sigmas = comfy.samplers.calculate_sigmas(studio.flux.get_model_object("model_sampling"), "simple", STEPS).tolist()
    ones: dict[str, list[float]] = {}
    rows = []
    for step in range(STEPS + 1):
        cells = []
        for stream, names in TURNS.items():
            pictures = studio.drawn(f"{stream} switch at {step}", cases, partial(switch_at, studio, stream, step))
            seen = read(pictures, most=len(names) > 1)
            for name in names:
                sides = [
                    mean(
                        shown(name, scene) == shown(name, getattr(pair, side))
                        for pair, scene in zip(cases, seen, strict=True)
                    )
                    for side in ("one", "other")
                ]
                ones.setdefault(name, []).append(sides[0])
                cells.append(f"{100 * sides[0]:.0f} / {100 * sides[1]:.0f}")
        rows.append([f"{step}", f"{sigmas[step]:.2f}", *cells])
        say(f"  {rows[-1]}")
    rows.append(["half show A from", "", *(f"{half_turned(shares):.1f}" for shares in ones.values())])
    heads = [
        "B from step",
        "sigma",
        *(f"{stream}: A's / B's {name}" for stream, names in TURNS.items() for name in names),
    ]
    return [Table("Prompt Schedule: A, then B from a step on, for one prompt alone; percent of A / B", heads, rows)]


def half_turned(shares: Sequence[float]) -> float:
    """The step at which a rising curve crosses 1/2, interpolated linearly."""
    after = next((step for step, share in enumerate(shares) if share >= 0.5), len(shares) - 1)
    if after == 0 or shares[after] < 0.5:
        return float(after)
    before, now = shares[after - 1 : after + 1]
    return after - 1 + (0.5 - before) / (now - before)
