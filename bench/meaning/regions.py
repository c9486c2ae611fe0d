"""T5 Region: is each object in its own region?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import torch

from ...devtools import say
from ...nano import scenes
from ...nano.pipeline import GUIDANCE
from ...nano.scenes import Object, Scene
from ...nodes.condition.conditioning import join
from ...nodes.condition.place.nodes import Region
from .lots import PLACELESS, things, words
from .reading import Table, percent, read
from .studio import Studio

Box = tuple[float, float, float, float]  # left, top, right, bottom, in parts of the picture
LAYOUTS: dict[str, dict[str, Box]] = {
    "left, right": {"left": (0, 0, 0.5, 1), "right": (0.5, 0, 1, 1)},
    "top, bottom": {"top": (0, 0, 1, 0.5), "bottom": (0, 0.5, 1, 1)},
    "quarters": {
        "top left": (0, 0, 0.5, 0.5),
        "top right": (0.5, 0, 1, 0.5),
        "bottom left": (0, 0.5, 0.5, 1),
        "bottom right": (0.5, 0.5, 1, 1),
    },
}


def mask(box: Box, size: int = 64) -> torch.Tensor:
    left, top, right, bottom = (round(size * at) for at in box)
    out = torch.zeros(1, size, size)
    out[:, top:bottom, left:right] = 1
    return out


def inside(item: Object, box: Box) -> bool:
    (x, y), (left, top, right, bottom) = item.centre, box
    return left <= x < right and top <= y < bottom


@dataclass(frozen=True)
class Placing:
    """How a row's regions are made: whether a prompt names its place, the base prompt, and T5 Region's settings."""

    name: str
    placed: bool = True
    base: str = ""
    settings: tuple[tuple[str, object], ...] = ()
    regions: bool = True
    masks: str = "own"  # or "swapped" (in reverse order), or "none"


def regional(studio: Studio, layout: dict[str, Box], how: Placing, rng: Random, cases: Sequence) -> list:
    """The CONDITIONING of scenes with a region for each object."""
    patterns = scenes.TRAINED if how.placed else PLACELESS
    texts = [[words(item, rng, patterns) for item in scene.objects] for scene in cases]
    clip = [scenes.background_caption(scene, rng) for scene in cases]
    base = [how.base] * len(cases) if how.regions else [" and ".join(each) for each in texts]
    vec, txt = studio.vec(clip), studio.txt(base)
    boxes = [(0, 0, 1, 1)] * len(layout) if how.masks == "none" else list(layout.values())
    for number, box in enumerate(boxes[:: -1 if how.masks == "swapped" else 1] if how.regions else ()):
        text = studio.txt([each[number] for each in texts])
        txt = Region.execute(txt, text, mask(box), **dict(how.settings))[0]
    return join(vec, txt, GUIDANCE)


def placed_right(expected: Scene, seen: Scene, boxes: Sequence[Box]) -> list[dict[str, bool]]:
    """For each expected object, which of its attributes are found in its own box."""
    out = []
    for item, box in zip(expected.objects, boxes, strict=True):
        found = [other for other in seen.objects if inside(other, box)]
        right = {
            name: any(getattr(other, name) == getattr(item, name) for other in found) for name in ("colour", "shape")
        }
        right["both"] = any((other.colour, other.shape) == (item.colour, item.shape) for other in found)
        out.append(right)
    return out


def painted(picture: np.ndarray, background: Scene, box: Box) -> str | None:
    """The most frequent colour in a box that is not background, of any shape; None if there is almost nothing."""
    left, top, right, bottom = (round(scenes.SIZE * at) for at in box)
    part = picture[top:bottom, left:right] / 255
    strange = part[((part - scenes.backdrop(background)[top:bottom, left:right]) ** 2).sum(-1) > 0.12]
    if len(strange) < 100:
        return None
    fills = np.array([fill for fill, _ in scenes.COLOURS.values()])
    nearest = ((strange[:, None] - fills) ** 2).sum(-1).argmin(1)
    return list(scenes.COLOURS)[np.bincount(nearest, minlength=len(fills)).argmax()]


PLACED = "place named"
PLACINGS = (
    Placing("one prompt for all, no regions", regions=False),
    Placing(PLACED),
    Placing("place not named", placed=False),
)
MORE = (
    Placing("place named, no masks", masks="none", settings=(("base_ratio", 1.0),)),
    Placing("place named, masks swapped", masks="swapped"),
    *(
        Placing(f"place named, {name} {value:g}", settings=((name, value),))
        for name, value in (("base_ratio", 0.0), ("strength", 0.5), ("strength", 2.0))
    ),
    *(
        Placing(f"place named, {name} {value}", settings=((name, value),))
        for name, value in (
            ("end", "3"),
            ("end", "6"),
            ("end", "9"),
            ("start", "4"),
            ("blocks", "double"),
            ("blocks", "single"),
        )
    ),
    *(
        Placing(
            f"place named, base names a third thing, base_ratio {value:g}",
            base="a large black ring in the middle",
            settings=(("base_ratio", value),),
        )
        for value in (0.0, 0.2, 0.5)
    ),
)


def regions(studio: Studio) -> list[Table]:
    rows = []
    for title in LAYOUTS:
        for how in (*PLACINGS, *(MORE if title == "left, right" else ())):
            rows.append(regions_row(studio, title, how))
            say(f"  {rows[-1]}")
    return [
        Table(
            "T5 Region, one object in each: percent of the objects, and of the pictures",
            ["regions", "setup", "colour, by pixels", "colour", "shape", "both", "all colours", "count", "background"],
            rows,
        )
    ]


def regions_row(studio: Studio, title: str, how: Placing) -> list[str]:
    layout, rng = LAYOUTS[title], studio.rng(f"regions {title}")
    expected = [
        Scene(tuple(things(rng, tuple(layout))), rng.choice(list(scenes.BACKGROUNDS))) for _ in range(studio.pictures)
    ]
    pictures = studio.drawn(f"{title}; {how.name}", expected, lambda part: regional(studio, layout, how, rng, part))
    seen = read(pictures, most=len(layout) + 1)
    boxes = list(layout.values())
    verdicts = [placed_right(*pair, boxes) for pair in zip(expected, seen, strict=True)]
    shares = [percent([each[name] for right in verdicts for each in right]) for name in ("colour", "shape", "both")]
    pixels = [
        painted(picture, replace(scene, objects=()), box) == item.colour
        for picture, scene, true in zip(pictures, seen, expected, strict=True)
        for item, box in zip(true.objects, boxes, strict=True)
    ]
    return [
        title,
        how.name,
        percent(pixels),
        *shares,
        percent([all(each["colour"] for each in right) for right in verdicts]),
        percent([len(scene.objects) == len(layout) for scene in seen]),
        percent([one.background == other.background for one, other in zip(expected, seen, strict=True)]),
    ]
