"""A grid's analysis in words, numbers and pictures. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy
from PIL import Image

from .. import charts, sheets
from .variance import CLIP, DRAWS, LEVEL, PARTS, SEED, T5, Analysis

NAMES = {"clip": "CLIP", "t5": "T5", "both": "both together", "seed": "the seed", "rest": "seed with prompts"}
HUES = {"clip": charts.CLIP_HUE, "t5": charts.T5_HUE, "both": (122, 92, 132), "seed": charts.MUTED,
        "rest": (160, 163, 172)}  # fmt: skip
LEVELS = {CLIP: "CLIP prompts", T5: "T5 prompts", SEED: "seeds"}
MISSING = {CLIP: "one CLIP prompt", T5: "one T5 prompt", SEED: "one seed"}
MAP_SIDE = 64  # places of a map on its longer side


def percent(share: float) -> str:
    value = 100 * share
    return f"{value:.0f} %" if value >= 1 or value < 0.05 else f"{value:.1f} %"


def sentence(analysis: Analysis, kind: str) -> str:
    """What explains how much of what differs in `kind`; what this grid cannot tell is named as unknown."""
    known = {name: share for name, share in analysis.shares.items() if share is not None}
    varied = [LEVELS[axis] for axis in (CLIP, T5, SEED) if analysis.design[axis] > 1]
    if not known:
        return "All pictures are the same." if varied else "One picture differs from nothing: add prompts or seeds."
    if len(varied) == 1:
        return f"Only the {varied[0]} differ in this grid, so there is nothing to compare them with."
    order = sorted(known, key=lambda name: (name == "rest", -known[name]))
    others = [f"{NAMES[name]} {percent(known[name])}" for name in order[1:]]
    first = f"{NAMES[order[0]]} explains {percent(known[order[0]])} of what differs in {kind}"
    return f"{first[0].upper()}{first[1:]}, {', '.join(others)}.{_unknown(analysis)}"


def _unknown(analysis: Analysis) -> str:
    single = [axis for axis in (CLIP, T5, SEED) if analysis.design[axis] == 1]
    missing = [NAMES[name] for name in PARTS if analysis.shares[name] is None]
    if not missing:
        return ""
    verb = "are" if len(missing) > 1 else "is"
    grid = " and ".join(MISSING[axis] for axis in single)
    seeds = " What looks like CLIP's or T5's may depend on that seed." if SEED in single else ""
    return f" With {grid}, {_and(missing)} {verb} unknown.{seeds}"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def drawn_over(analysis: Analysis) -> str:
    """What the confidence intervals are of."""
    if not analysis.over:
        return "No interval: it takes three prompts on a road, or three seeds, to draw from."
    over = _and([f"{analysis.design[axis]} {LEVELS[axis]}" for axis in (CLIP, T5, SEED) if axis in analysis.over])
    return f"Lines: {LEVEL:.0%} bootstrap intervals over the {over} ({DRAWS} draws)."


def as_json(analyses: Mapping[str, Analysis], clip: Sequence[str], t5: Sequence[str], seeds: Sequence[int],
            **more) -> str:  # fmt: skip
    """All numbers; `analyses` are by what was analysed: latents, pixels."""
    parts = {
        name: {
            "shares": dict(each.shares),
            "intervals": dict(each.intervals),
            "bootstrap": {"over": [LEVELS[axis] for axis in each.over], "draws": DRAWS, "level": LEVEL},
            "sentence": sentence(each, name),
        }
        for name, each in analyses.items()
    }
    told = {"clip": list(clip), "t5": list(t5), "seeds": list(seeds), "order": "seed, CLIP prompt, T5 prompt", **more}
    return json.dumps({**told, **parts}, indent=1)


def legend(analysis: Analysis, clip: Sequence[str], t5: Sequence[str], seeds: Sequence[int]) -> dict:
    """What the front end shows beside the cells."""
    return {
        "clip": list(clip), "t5": list(t5), "seeds": [str(seed) for seed in seeds],  # larger than JavaScript's numbers
        "sentence": sentence(analysis, "pixels"), "shares": dict(analysis.shares),
        "intervals": dict(analysis.intervals), "drawn_over": drawn_over(analysis),
    }  # fmt: skip


def page(analyses: Mapping[str, Analysis]) -> Image.Image:
    """Bars for each analysis, and where in the picture each part acts."""
    pages = []
    for name, each in analyses.items():
        bars = [charts.Bar(NAMES[part], min(share, 1.0), HUES[part], each.intervals[part])
                for part, share in each.shares.items() if share is not None]  # fmt: skip
        pages.append(charts.bars(f"What explains the differences between the pictures, in {name}", bars))
    last = [*analyses][-1]
    if analyses[last].maps:
        pages.append(_maps(analyses[last], f"Where each acts, in {last}"))
    return sheets.stacked([*pages, sheets.note(sentence(analyses[last], last), pages[0].width)])


def _maps(analysis: Analysis, title: str) -> Image.Image:
    whole = coarse(sum(analysis.maps.values()))
    floor = 0.02 * whole.max() or 1.0  # where next to nothing differs, shares of it mean nothing
    names = {name: f"{NAMES[name]}\n{percent(share)}" for name, share in analysis.shares.items() if share is not None}
    given = [sheets.Panel(names[name], coarse(each) / (whole + floor), HUES[name])
             for name, each in analysis.maps.items()]  # fmt: skip
    given.append(sheets.Panel("all that\ndiffers", whole / (whole.max() or 1.0)))
    note = (
        f"Colour: its share of what differs at that place. The last map: how much differs there. {drawn_over(analysis)}"
    )
    return sheets.panels(title, note, given)


def coarse(squares: numpy.ndarray) -> numpy.ndarray:
    """Sums of squares [H, W, 3] or [C, H, W] -> [h, w], summed over channels and over small squares of the picture."""
    flat = squares.sum(-1) if squares.shape[-1] == 3 else squares.reshape(-1, *squares.shape[-2:]).sum(0)
    step = max(1, -(-max(flat.shape) // MAP_SIDE))
    height, width = (-(-side // step) * step for side in flat.shape)
    padded = numpy.pad(flat, [(0, height - flat.shape[0]), (0, width - flat.shape[1])])
    return padded.reshape(height // step, step, width // step, step).sum((1, 3))
