"""Do the controls mean on the nano models what they say?

    python dev.py bench meaning [--pictures 10] [--seed 0] [--only regions switch clip nag blend] [--sheets FOLDER]

Each control is told what training never met (nano/scenes/scene.py, `unseen`), drawn in 12 steps and read back as in
bench/nano.py. Every row is as many pictures as --pictures says, on the same noise.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import mean

import comfy.sample
import comfy.samplers
import comfy.utils
import numpy as np
import torch
from PIL import Image

from ..devtools import say
from ..nano import layouts, scenes
from ..nano.pipeline import GUIDANCE, SIDE, STEPS, Pipeline
from ..nodes.condition.blend.nodes import AFTER, BEFORE, BlendTxt, BlendVec, ClipNegative
from ..nodes.condition.conditioning import join
from ..nodes.condition.place.nodes import NegativeTxt, Region
from ..nodes.condition.time.nodes import Schedule
from ..nodes.encode.encoding import encode_clip, encode_t5
from ..nodes.sample.apply import attach
from ..nodes.streams import ClipVec, Span, T5Text
from .measure import machine, seconds, table

BATCH = 16
CLEAN = 0.06  # how far a picture may be, in the mean of all pixels, from the scene that was read in it; true ones: .03
Object, Scene, Rng = scenes.Object, scenes.Scene, random.Random
Prompted = Callable[[Sequence], list]  # cases -> their CONDITIONING

# A sentence that leaves the place out, wherever the object stands.
PLACELESS = replace(scenes.TRAINED, one=scenes.TRAINED.middle)


class Studio:
    """Streams in, pictures out."""

    def __init__(self, pictures: int, seed: int, sheets: Path | None = None):
        self.pipeline, self.pictures, self.seed, self.sheets = Pipeline(), pictures, seed, sheets
        self.flux = attach(self.pipeline.flux)
        # A row's texts are the next row's: the sweeps tell the same scenes again and again.
        self.one_vec = cache(lambda text: encode_clip(self.pipeline.clip_l, text))
        self.one_txt = cache(lambda text: encode_t5(self.pipeline.t5, text)[0])

    def rng(self, name: str) -> Rng:
        return random.Random(f"{self.seed}/{name}")

    def vec(self, texts: Sequence[str]) -> ClipVec:
        """A row per prompt."""
        return ClipVec((Span(torch.cat([self.one_vec(text).spans[0].tensor for text in texts])),))

    def txt(self, texts: Sequence[str]) -> T5Text:
        return T5Text((Span(torch.cat([self.one_txt(text).spans[0].tensor for text in texts])),))

    def drawn(self, name: str, cases: Sequence, prompt: Prompted, away: Prompted | None = None, cfg: float = 1.0,
              batch: int = BATCH) -> np.ndarray:
        """Pictures, uint8 [N, 128, 128, 3], case number n always from the same noise; `away` is true CFG's negative."""
        drawn = []
        for start in range(0, len(cases), batch):
            part = cases[start:start + batch]
            latent = torch.zeros(len(part), layouts.LATENT_CHANNELS, SIDE, SIDE)
            noise = torch.cat([comfy.sample.prepare_noise(latent[:1], self.seed + start + n) for n in range(len(part))])
            positive = prompt(part)
            latent = comfy.sample.sample(self.flux, noise, STEPS, cfg, "euler", "simple", positive,
                                         away(part) if away else positive, latent, seed=self.seed, disable_pbar=True)
            drawn.append((self.pipeline.vae.decode(latent) * 255).round().clamp(0, 255).to(torch.uint8))
        pictures = torch.cat(drawn).numpy()
        if self.sheets:
            Image.fromarray(np.concatenate(pictures[:10], 1)).save(self.sheets / f"{name}.png")
        return pictures


@dataclass(frozen=True)
class Table:
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        return f"{self.title}\n\n{table(self.heads, self.rows)}\n"


def read(pictures: np.ndarray, most: int) -> list[Scene]:
    """With at most so many objects; 0 reads the background alone."""
    return [scenes.read(picture, most) for picture in pictures]


def clean(picture: np.ndarray, seen: Scene) -> bool:
    """Whether the picture is a scene at all: as a prompt is pushed too far, it falls apart."""
    return float(np.abs(picture / 255 - scenes.render(seen) / 255.0).mean()) < CLEAN


# ---- scenes drawn by lot

def thing(rng: Rng, place: str, others: Sequence[Object] = ()) -> Object:
    """A large solid object that training never met at this place, of another colour and shape than the others."""
    while True:
        item = scenes.random_object(rng, place=place, size="large", fill="solid")
        distinct = all(item.colour != other.colour and item.shape != other.shape for other in others)
        if distinct and scenes.unseen(Scene((item,), "")):
            return item


def things(rng: Rng, places: Sequence[str]) -> list[Object]:
    """One for each place. Only one of a few can stand somewhere, so a lot that leads nowhere is drawn again."""
    while True:
        items = [scenes.random_object(rng, place=place, size="large", fill="solid") for place in places]
        if len({item.colour for item in items}) == len(items) and all(scenes.unseen(Scene((i,), "")) for i in items):
            return items


def words(item: Object, rng: Rng, patterns: scenes.Patterns = scenes.TRAINED) -> str:
    return scenes.object_caption(Scene((item,), ""), rng, patterns)


def look(background: str, rng: Rng) -> str:
    return rng.choice(scenes.BACKGROUNDS[background][1])


def percent(values: Sequence[bool]) -> str:
    return f"{100 * mean(values):.0f}" if values else ""


# ---- regions

Box = tuple[float, float, float, float]  # left, top, right, bottom, in parts of the picture
LAYOUTS: dict[str, dict[str, Box]] = {
    "left, right": {"left": (0, 0, 0.5, 1), "right": (0.5, 0, 1, 1)},
    "top, bottom": {"top": (0, 0, 1, 0.5), "bottom": (0, 0.5, 1, 1)},
    "quarters": {"top left": (0, 0, 0.5, 0.5), "top right": (0.5, 0, 1, 0.5),
                 "bottom left": (0, 0.5, 0.5, 1), "bottom right": (0.5, 0.5, 1, 1)},
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
    """How the regions of a row are told: whether a prompt names its place, what the base says, T5 Region's settings."""

    name: str
    placed: bool = True
    base: str = ""
    settings: tuple[tuple[str, object], ...] = ()
    regions: bool = True
    masks: str = "own"  # or "swapped", the first prompt's in the last place, or "none"


def regional(studio: Studio, layout: dict[str, Box], how: Placing, rng: Rng, cases: Sequence) -> list:
    """The CONDITIONING of scenes whose objects have a region each."""
    patterns = scenes.TRAINED if how.placed else PLACELESS
    told = [[words(item, rng, patterns) for item in scene.objects] for scene in cases]
    clip = [scenes.background_caption(scene, rng) for scene in cases]
    base = [how.base] * len(cases) if how.regions else [" and ".join(each) for each in told]
    vec, txt = studio.vec(clip), studio.txt(base)
    boxes = [(0, 0, 1, 1)] * len(layout) if how.masks == "none" else list(layout.values())
    for number, box in enumerate(boxes[::-1 if how.masks == "swapped" else 1] if how.regions else ()):
        text = studio.txt([each[number] for each in told])
        txt = Region.execute(txt, text, mask(box), **dict(how.settings))[0]
    return join(vec, txt, GUIDANCE)


def placed_right(told: Scene, seen: Scene, boxes: Sequence[Box]) -> list[dict[str, bool]]:
    """For each object told: what of it is found in its own box."""
    out = []
    for item, box in zip(told.objects, boxes, strict=True):
        found = [other for other in seen.objects if inside(other, box)]
        right = {name: any(getattr(other, name) == getattr(item, name) for other in found)
                 for name in ("colour", "shape")}
        right["both"] = any((other.colour, other.shape) == (item.colour, item.shape) for other in found)
        out.append(right)
    return out


def painted(picture: np.ndarray, background: Scene, box: Box) -> str | None:
    """The colour of most that is not background in a box, whatever its shape, or None where next to nothing is."""
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
    *(Placing(f"place named, {name} {value:g}", settings=((name, value),))
      for name, value in (("base_ratio", 0.0), ("strength", 0.5), ("strength", 2.0))),
    *(Placing(f"place named, {name} {value}", settings=((name, value),))
      for name, value in (("end", "3"), ("end", "6"), ("end", "9"), ("start", "4"), ("blocks", "double"),
                          ("blocks", "single"))),
    *(Placing(f"place named, base names a third thing, base_ratio {value:g}", base="a large black ring in the middle",
              settings=(("base_ratio", value),)) for value in (0.0, 0.2, 0.5)),
)


def regions(studio: Studio) -> list[Table]:
    rows = []
    for title in LAYOUTS:
        for how in (*PLACINGS, *(MORE if title == "left, right" else ())):
            rows.append(regions_row(studio, title, how))
            say(f"  {rows[-1]}")
    return [Table("T5 Region: an object each; per cent of the objects, and of the pictures",
                  ["regions", "told", "colour, by pixels", "colour", "shape", "both", "all colours", "count",
                   "background"], rows)]


def regions_row(studio: Studio, title: str, how: Placing) -> list[str]:
    layout, rng = LAYOUTS[title], studio.rng(f"regions {title}")
    told = [Scene(tuple(things(rng, tuple(layout))), rng.choice(list(scenes.BACKGROUNDS)))
            for _ in range(studio.pictures)]
    pictures = studio.drawn(f"{title}; {how.name}", told, lambda part: regional(studio, layout, how, rng, part))
    seen = read(pictures, most=len(layout) + 1)
    boxes = list(layout.values())
    verdicts = [placed_right(*pair, boxes) for pair in zip(told, seen, strict=True)]
    shares = [percent([each[name] for right in verdicts for each in right]) for name in ("colour", "shape", "both")]
    pixels = [painted(picture, replace(scene, objects=()), box) == item.colour
              for picture, scene, true in zip(pictures, seen, told, strict=True)
              for item, box in zip(true.objects, boxes, strict=True)]
    return [title, how.name, percent(pixels), *shares,
            percent([all(each["colour"] for each in right) for right in verdicts]),
            percent([len(scene.objects) == len(layout) for scene in seen]),
            percent([one.background == other.background for one, other in zip(told, seen, strict=True)])]


# ---- a switch on the way

@dataclass(frozen=True)
class Pair:
    """Two scenes that differ in all that is asked for: which of them is shown?"""

    one: Scene
    other: Scene


def pairs(studio: Studio, rng: Rng) -> list[Pair]:
    out = []
    for _ in range(studio.pictures):
        backgrounds, places = (rng.sample(list(names), 2) for names in (scenes.BACKGROUNDS, scenes.PLACES))
        one = thing(rng, places[0])
        other = thing(rng, places[1], [one])
        out.append(Pair(Scene((one,), backgrounds[0]), Scene((other,), backgrounds[1])))
    return out


def switch_at(studio: Studio, road: str, step: int, told: Sequence[Pair]) -> list:
    """The first scene's prompts until a step of the run, and on one road the second's from there on."""
    rng = studio.rng("said")
    said = [[scenes.object_caption(each.one, rng), scenes.object_caption(each.other, rng),
             scenes.background_caption(each.one, rng), scenes.background_caption(each.other, rng)] for each in told]
    t5_one, t5_other, clip_one, clip_other = zip(*said, strict=True)
    turned = {"T5": (t5_one, t5_other), "CLIP": (clip_one, clip_other)}[road]
    if step in (0, STEPS):
        ends = {"T5": t5_one, "CLIP": clip_one, road: turned[step == 0]}
        return join(studio.vec(ends["CLIP"]), studio.txt(ends["T5"]), GUIDANCE)
    prompts = {"vec1": studio.vec(clip_one)}, {"txt1": studio.txt(t5_one)}
    name, encode = ("txt2", studio.txt) if road == "T5" else ("vec2", studio.vec)
    prompts[road == "T5"][name] = encode(turned[1])
    timeline = f"1\n@{step} 2"
    lines = ("1", timeline) if road == "T5" else (timeline, "1")
    return Schedule.execute(*prompts, *lines, GUIDANCE)[0]


TURNS = {"T5": ("place", "colour", "shape"), "CLIP": ("background",)}


def shown(name: str, scene: Scene) -> str | None:
    if name == "background":
        return scene.background
    return getattr(scene.objects[0], name) if scene.objects else None


def switches(studio: Studio) -> list[Table]:
    told = pairs(studio, studio.rng("switch"))
    sigmas = comfy.samplers.calculate_sigmas(studio.flux.get_model_object("model_sampling"), "simple", STEPS).tolist()
    ones: dict[str, list[float]] = {}
    rows = []
    for step in range(STEPS + 1):
        cells = []
        for road, names in TURNS.items():
            pictures = studio.drawn(f"{road} switch at {step}", told, partial(switch_at, studio, road, step))
            seen = read(pictures, most=len(names) > 1)
            for name in names:
                sides = [mean(shown(name, scene) == shown(name, getattr(pair, side))
                              for pair, scene in zip(told, seen, strict=True)) for side in ("one", "other")]
                ones.setdefault(name, []).append(sides[0])
                cells.append(f"{100 * sides[0]:.0f} / {100 * sides[1]:.0f}")
        rows.append([f"{step}", f"{sigmas[step]:.2f}", *cells])
        say(f"  {rows[-1]}")
    rows.append(["half show A's from", "", *(f"{half_turned(shares):.1f}" for shares in ones.values())])
    heads = ["B from step", "sigma", *(f"{road}: A's / B's {name}" for road, names in TURNS.items() for name in names)]
    return [Table("Prompt Schedule: A until a step, then B, on one road alone; whose is shown", heads, rows)]


def half_turned(shares: Sequence[float]) -> float:
    """Where a curve that rises with the step crosses a half, between two steps in proportion."""
    after = next((step for step, share in enumerate(shares) if share >= 0.5), len(shares) - 1)
    if after == 0 or shares[after] < 0.5:
        return float(after)
    before, now = shares[after - 1:after + 1]
    return after - 1 + (0.5 - before) / (now - before)


# ---- negatives

@dataclass(frozen=True)
class Away:
    """An object, its two prompts, what the plain picture shows of what they leave open, and the negative naming it.

    No negative: the plain picture shows nothing that was asked for, and the case does not count.
    """

    item: Object
    clip: str
    t5: str
    shown: str = ""
    negative: str = ""


def plain(studio: Studio, cases: Sequence[Away]) -> list:
    return join(studio.vec([each.clip for each in cases]), studio.txt([each.t5 for each in cases]), GUIDANCE)


def two_looks(studio: Studio) -> list[Away]:
    """CLIP names two backgrounds, and the negative is the one that the plain picture shows."""
    rng = studio.rng("two looks")
    named = [{name: look(name, rng) for name in rng.sample(list(scenes.BACKGROUNDS), 2)}
             for _ in range(studio.pictures)]
    items = [thing(rng, rng.choice(list(scenes.PLACES))) for _ in named]
    cases = [Away(item, ", ".join(said.values()), words(item, rng)) for item, said in zip(items, named, strict=True)]
    seen = read(studio.drawn("two looks", cases, partial(plain, studio)), most=0)
    return [replace(case, shown=scene.background, negative=said.get(scene.background, ""))
            for case, said, scene in zip(cases, named, seen, strict=True)]


def no_look(studio: Studio) -> list[Away]:
    """CLIP names nothing, and the negative is the background that comes of itself."""
    rng = studio.rng("no look")
    items = [thing(rng, rng.choice(list(scenes.PLACES))) for _ in range(studio.pictures)]
    cases = [Away(item, "", words(item, rng)) for item in items]
    seen = read(studio.drawn("no look", cases, partial(plain, studio)), most=0)
    return [replace(case, shown=scene.background, negative=look(scene.background, rng))
            for case, scene in zip(cases, seen, strict=True)]


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
PUSHES = (*(Push(weight, AFTER, blocks) for blocks in ("0-", "1-", "5-") for weight in WEIGHTS),
          *(Push(weight, BEFORE) for weight in WEIGHTS))


def clip_negatives(studio: Studio) -> list[Table]:
    rows = []
    for title, cases, pushes in (("two named", two_looks(studio), PUSHES),
                                 ("none named", no_look(studio), (Push(1.0), Push(3.0), Push(3.0, BEFORE)))):
        for push in pushes:
            pictures = studio.drawn(f"{title}, {push}", cases, partial(pushed, studio, push))
            rows.append([title, f"{push}", *push_verdict(cases, pictures)])
            say(f"  {rows[-1]}")
    return [Table("CLIP Negative: the background that the plain picture shows is the negative",
                  ["backgrounds in the CLIP prompt", "settings", "it is gone", "and the picture clean", *TURNS["T5"]],
                  rows)]


def push_verdict(cases: Sequence[Away], pictures: np.ndarray) -> list[str]:
    told = [(case, scene, clean(picture, scene))
            for case, picture, scene in zip(cases, pictures, read(pictures, most=1), strict=True) if case.negative]
    rights = [percent([shown(name, scene) == getattr(case.item, name) for case, scene, _ in told])
              for name in TURNS["T5"]]
    return [percent([scene.background != case.shown for case, scene, _ in told]),
            percent([scene.background != case.shown and whole for case, scene, whole in told]), *rights]


NAGS = {
    "none": {},
    "default": {"scale": 5.0},
    "scale 10, alpha 0.5": {"scale": 10.0, "alpha": 0.5},
    "scale 3, alpha 1": {"scale": 3.0, "alpha": 1.0},
    "scale 10, tau 5, alpha 1": {"scale": 10.0, "tau": 5.0, "alpha": 1.0},
}


def unsaid(studio: Studio, name: str) -> list[Away]:
    """T5 leaves an object's colour or shape open, and the negative is the word for what comes of itself."""
    rng = studio.rng(f"unsaid {name}")
    items = [thing(rng, rng.choice(list(scenes.PLACES))) for _ in range(studio.pictures)]
    texts = {"colour": "a {0.shape} {1}", "shape": "something {0.colour} {1}"}
    cases = [Away(item, look(rng.choice(list(scenes.BACKGROUNDS)), rng),
                  texts[name].format(item, rng.choice(scenes.PLACES[item.place][1]))) for item in items]
    seen = read(studio.drawn(f"unsaid {name}", cases, partial(plain, studio)), most=1)
    found = [replace(case.item, **{name: shown(name, scene)}) if scene.objects else None
             for case, scene in zip(cases, seen, strict=True)]
    return [case if item is None else replace(case, item=item, shown=getattr(item, name),
                                              negative=f"a {item.colour} {item.shape}")
            for case, item in zip(cases, found, strict=True)]


def two_said(studio: Studio) -> list[Away]:
    """T5 names two objects, and the negative is the second, told again without its place."""
    rng, cases = studio.rng("two said"), []
    for _ in range(studio.pictures):
        places = rng.choice((("left", "right"), ("top", "bottom"), ("right", "left"), ("bottom", "top")))
        items = things(rng, places)
        cases.append(Away(items[0], look(rng.choice(list(scenes.BACKGROUNDS)), rng),
                          " and ".join(words(item, rng) for item in items), items[1].colour,
                          f"a {items[1].colour} {items[1].shape}"))
    return cases


def nagged(studio: Studio, settings: dict, cases: Sequence[Away]) -> list:
    txt = studio.txt([each.t5 for each in cases])
    if settings:
        txt = NegativeTxt.execute(txt, studio.txt([each.negative for each in cases]), **settings)[0]
    return join(studio.vec([each.clip for each in cases]), txt, GUIDANCE)


def negated(studio: Studio, cases: Sequence[Away]) -> list:
    """True CFG's negative: the same on the CLIP road."""
    return plain(studio, [replace(each, t5=each.negative) for each in cases])


def nag_verdict(name: str, cases: Sequence[Away], pictures: np.ndarray) -> list[str]:
    """`name` is the attribute by which the negative's object is known."""
    told = [(case, scene, clean(picture, scene))
            for case, picture, scene in zip(cases, pictures, read(pictures, most=2), strict=True) if case.negative]
    # Not what the negative takes away itself: that is the first column's.
    kept = [percent([shows(scene, other, getattr(case.item, other)) for case, scene, _ in told
                     if getattr(case.item, other) != case.shown]) for other in TURNS["T5"]]
    return [percent([not shows(scene, name, case.shown) for case, scene, _ in told]),
            percent([not shows(scene, name, case.shown) and whole for case, scene, whole in told]), *kept]


def shows(scene: Scene, name: str, value: str) -> bool:
    return any(getattr(item, name) == value for item in scene.objects)


def t5_negatives(studio: Studio) -> list[Table]:
    kinds = (("a colour that T5 leaves open", "colour", unsaid(studio, "colour")),
             ("a shape that T5 leaves open", "shape", unsaid(studio, "shape")),
             ("the second of two objects that T5 names", "colour", two_said(studio)))
    rows = []
    for title, name, cases in kinds:
        for said, settings in NAGS.items():
            pictures = studio.drawn(f"{title}, {said}", cases, partial(nagged, studio, settings))
            rows.append([title, said, *nag_verdict(name, cases, pictures)])
            say(f"  {rows[-1]}")
        for cfg in (1.5, 3.0):
            pictures = studio.drawn(f"{title}, cfg {cfg}", cases, partial(plain, studio), partial(negated, studio), cfg)
            rows.append([title, f"true CFG {cfg:g} instead", *nag_verdict(name, cases, pictures)])
            say(f"  {rows[-1]}")
    return [Table("T5 Negative (NAG): what the plain picture shows is the negative",
                  ["negative", "settings", "it is gone", "and the picture clean", *TURNS["T5"]], rows)]


# ---- blends

BLENDS = (("join", 0.3), ("join", 0.5), ("both", 1.0))


def blended(studio: Studio, mode: str, weight: float, cases: Sequence[tuple[list[Object], str, list[str]]]) -> list:
    ((_, clip, said),) = cases  # one by one: with what each has of real tokens, all are of a length of their own
    one, other = map(studio.one_txt, said)
    return join(studio.vec([clip]), BlendTxt.execute(one, mode, weight, other)[0], GUIDANCE)


def t5_blends(studio: Studio) -> Table:
    rng, cases, rows = studio.rng("blend t5"), [], []
    for _ in range(studio.pictures):
        items = things(rng, rng.choice((("left", "right"), ("top", "bottom"), ("top left", "bottom right"))))
        cases.append((items, look(rng.choice(list(scenes.BACKGROUNDS)), rng), [words(item, rng) for item in items]))
    for mode, weight in BLENDS:
        pictures = studio.drawn(f"blend {mode} {weight}", cases, partial(blended, studio, mode, weight), batch=1)
        seen = read(pictures, most=2)
        there = [[any((one.colour, one.place) == (item.colour, item.place) for one in scene.objects) for item in items]
                 for (items, *_), scene in zip(cases, seen, strict=True)]
        whole = [all(any((one.colour, one.place, one.shape) == (item.colour, item.place, item.shape)
                         for one in scene.objects) for item in items)
                 for (items, *_), scene in zip(cases, seen, strict=True)]
        rows.append([f"{mode} {weight:g}", *(percent([each[side] for each in there]) for side in (0, 1)),
                     percent([all(each) for each in there]), percent(whole)])
        say(f"  {rows[-1]}")
    return Table("Blend T5 of two prompts of one object each: colour and place right",
                 ["mode", "the first", "the second", "both", "both, shapes too"], rows)


def clip_blends(studio: Studio) -> Table:
    rng, rows = studio.rng("blend clip"), []
    named = [rng.sample(list(scenes.BACKGROUNDS), 2) for _ in range(studio.pictures)]
    cases = [(*(look(name, rng) for name in names), words(thing(rng, rng.choice(list(scenes.PLACES))), rng))
             for names in named]
    for mode, weight in (("lerp", 0.3), ("lerp", 0.5), ("lerp", 0.7), ("slerp", 0.5)):
        def prompt(part, mode=mode, weight=weight):
            one, other, t5 = zip(*part, strict=True)
            vec = BlendVec.execute(studio.vec(one), mode, weight, studio.vec(other))[0]
            return join(vec, studio.txt(t5), GUIDANCE)

        seen = read(studio.drawn(f"blend {mode} {weight}", cases, prompt), most=0)
        places = [names.index(scene.background) if scene.background in names else 2
                  for names, scene in zip(named, seen, strict=True)]
        rows.append([f"{mode} {weight:g}", *(percent([place == side for place in places]) for side in range(3))])
        say(f"  {rows[-1]}")
    return Table("Blend CLIP of two backgrounds: which is shown", ["mode", "the first", "the second", "neither"], rows)


def blends(studio: Studio) -> list[Table]:
    return [t5_blends(studio), clip_blends(studio)]


# ---- all of it

PARTS = {"regions": regions, "switch": switches, "clip": clip_negatives, "nag": t5_negatives, "blend": blends}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench meaning", description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10, help="for each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these controls alone")
    parser.add_argument("--sheets", type=Path, help="write the first ten pictures of each row into this folder")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    comfy.utils.set_progress_bar_enabled(False)
    if chosen.sheets:
        chosen.sheets.mkdir(parents=True, exist_ok=True)
    started, tables = time.perf_counter(), []
    with torch.inference_mode():  # as ComfyUI runs every node
        studio = Studio(chosen.pictures, chosen.seed, chosen.sheets)
        for name in chosen.only:
            say(f"{name} ...")
            tables += PARTS[name](studio)
    print(f"\n{machine()}; {chosen.pictures} pictures for each row, {STEPS} steps, guidance {GUIDANCE}, per cent; "
          f"{seconds(time.perf_counter() - started)}\n")
    print("\n".join(map(str, tables)))


if __name__ == "__main__":
    main()
