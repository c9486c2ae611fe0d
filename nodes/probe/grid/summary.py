"""Summarizes a grid's analysis as sentences, JSON and charts. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy
from PIL import Image

from ...theme import colours
from ..percent import percent
from ..plots import charts, sheets
from ..repainted import NOTHING_REPAINTED, repainted_sentence
from .variance import CLIP, FEWEST, LEVEL, LORA, SEED, T5, Analysis

NAMES = {"clip": "CLIP", "t5": "T5", "both": "both together", "seed": "the seed", "rest": "seed with prompts"}
WITH_LORA = {
    **NAMES, "lora": "the LoRA", "both": "CLIP with T5", "clip_lora": "CLIP with the LoRA",
    "t5_lora": "T5 with the LoRA", "clip_t5_lora": "all three together", "rest": "seed with all others",
}  # fmt: skip
LEVELS = {CLIP: "CLIP prompts", T5: "T5 prompts", LORA: "LoRAs", SEED: "seeds"}
MISSING = {CLIP: "one CLIP prompt", T5: "one T5 prompt"}
FEW_MAPS = 6  # more than this are drawn in two rows
MAP_SIDE = 64  # cells of a map on its longer side

MODEL = (
    "Unbiased variance components (expected mean squares) of each element, summed over a picture's elements. The "
    "{} are fixed, the seeds random blocks crossed with {}; an estimate may lie below zero. Intervals: "
    "jackknife over the seeds, Student's t. Chance: what a part that does nothing exceeds in one of twenty grids."
)


def names(analysis: Analysis) -> Mapping[str, str]:
    """Each part's name for people."""
    return WITH_LORA if _has_loras(analysis) else NAMES


def method(analysis: Analysis) -> str:
    """How the numbers were computed."""
    return MODEL.format("prompts and LoRAs", "all of them") if _has_loras(analysis) else MODEL.format("prompts", "both")


def _has_loras(analysis: Analysis) -> bool:
    return len(analysis.design) > LORA


def estimate(share: float) -> str:
    """An estimated share as text; estimates below 0 are shown as 0 %."""
    return percent(min(max(share, 0.0), 1.0), significant=1)


def sentence(analysis: Analysis, kind: str) -> str:
    """How much of the differences each part explains, and which parts are within chance or unknown.

    `kind` is what was analysed: "latents" or "pixels".
    """
    known = {name: share for name, share in analysis.shares.items() if share is not None}
    varied = [axis for axis in LEVELS if axis < len(analysis.design) and analysis.design[axis] > 1]
    where = repainted_sentence(None if analysis.repainted is None else [analysis.repainted])
    if where == NOTHING_REPAINTED:
        return where
    if not varied:
        return "There is one picture, so there is nothing to compare: add prompts or seeds."
    if len(varied) == 1:
        return f"Only the {LEVELS[varied[0]]} differ in this grid, so there is nothing to compare them with."
    if SEED not in varied:
        effect = "the effect of prompts and LoRAs" if _has_loras(analysis) else "the prompts' effect"
        return f"With one seed, {effect} cannot be separated from the seed's: use four seeds or more."
    if not known:
        return "All pictures are the same."
    clear = sorted((name for name in known if not _chance(analysis, name)), key=lambda name: -known[name])
    first, *others = [f"{names(analysis)[name]} {{}}{estimate(known[name])}{_range(analysis, name)}" for name in clear]
    text = f"{first.format('explains ')} of the differences in {kind}"
    text = ", ".join([f"{text[0].upper()}{text[1:]}", *(each.format("") for each in others)])
    by_chance = _by_chance(analysis, [name for name in known if name not in clear])
    return f"{text}.{by_chance}{_unknown(analysis)} {where}".strip()


def _chance(analysis: Analysis, name: str) -> bool:
    """Whether a part is no larger than its chance level."""
    chance = analysis.chance[name]
    return chance is not None and analysis.shares[name] <= chance


def _range(analysis: Analysis, name: str) -> str:
    between = analysis.intervals[name]
    return f" ({estimate(between[0])[:-2]} to {estimate(between[1])[:-2]})" if between else ""


def _by_chance(analysis: Analysis, parts: Sequence[str]) -> str:
    if not parts:
        return ""
    levels = _and([estimate(analysis.chance[name])[:-2] for name in parts])
    text = _and([names(analysis)[name] for name in parts])
    return f" {text[0].upper()}{text[1:]} cannot be distinguished from chance, which alone gives up to {levels} %."


def _unknown(analysis: Analysis) -> str:
    single = [axis for axis in (CLIP, T5) if analysis.design[axis] == 1]
    missing = [names(analysis)[name] for name, share in analysis.shares.items() if share is None]
    few = f" With {analysis.design[SEED]} seeds, the level of chance is unknown: use {FEWEST + 1} or more."
    few = few if analysis.design[SEED] < FEWEST else ""
    if not missing:
        return few
    verb = "are" if len(missing) > 1 else "is"
    grid = " and ".join(MISSING[axis] for axis in single)
    return f" With {grid}, {_and(missing)} {verb} unknown.{few}"


def _and(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def drawn_over(analysis: Analysis) -> str:
    """The legend of the confidence intervals and chance levels."""
    seeds = analysis.design[SEED]
    if seeds < FEWEST:
        return f"No interval: it needs at least {FEWEST} seeds."
    return (
        f"Lines: {LEVEL:.0%} confidence intervals over seeds, from these {seeds}. Grey marks: the level that chance "
        "alone does not exceed in 19 of 20 grids."
    )


def as_json(analyses: Mapping[str, Analysis], clip: Sequence[str], t5: Sequence[str], seeds: Sequence[int],
            **more) -> str:  # fmt: skip
    """All numbers; `analyses` has an analysis of "latents" and one of "pixels". `more` goes to the top level."""
    parts = {
        name: {
            "shares": dict(each.shares),
            "components": dict(each.components),
            "intervals": dict(each.intervals),
            "chance": dict(each.chance),
            "level": LEVEL,
            "method": method(each),
            "sentence": sentence(each, name),
        }
        for name, each in analyses.items()
    }
    grid = {"clip": list(clip), "t5": list(t5), "seeds": list(seeds), "order": "seed, CLIP prompt, T5 prompt", **more}
    return json.dumps({**grid, **parts}, indent=1)


def legend(analysis: Analysis, clip: Sequence[str], t5: Sequence[str], seeds: Sequence[int]) -> dict:
    """The front end's data besides the cells."""
    return {
        "clip": list(clip), "t5": list(t5), "seeds": [str(seed) for seed in seeds],  # too large for JavaScript numbers
        "sentence": sentence(analysis, "pixels"), "shares": dict(analysis.shares),
        "intervals": dict(analysis.intervals), "chance": dict(analysis.chance), "drawn_over": drawn_over(analysis),
    }  # fmt: skip


def page(analyses: Mapping[str, Analysis]) -> Image.Image:
    """A page of bars for each analysis, and maps of where in the picture each part acts."""
    pages = []
    for name, each in analyses.items():
        known = {part: min(max(share, 0.0), 1.0) for part, share in each.shares.items() if share is not None}
        bars = [charts.Bar(names(each)[part], share, colours().of(part), each.intervals[part], each.chance[part])
                for part, share in known.items()]  # fmt: skip
        pages.append(charts.bars(f"What explains the differences between the pictures, in {name}", bars))
    last = [*analyses][-1]
    if analyses[last].maps:
        pages.append(_maps(analyses[last], f"Where in the picture each part acts, in {last}"))
    return sheets.stack_vertically([*pages, sheets.note(sentence(analyses[last], last), pages[0].width)])


def _maps(analysis: Analysis, title: str) -> Image.Image:
    whole = coarse(sum(analysis.maps.values())).clip(0)
    floor = 0.02 * whole.max() or 1.0  # shares of very small differences are meaningless
    told = {name: f"{_in_lines(names(analysis)[name])}\n{estimate(share)}"
            for name, share in analysis.shares.items() if share is not None}  # fmt: skip
    given = [sheets.Panel(told[name], (coarse(each) / (whole + floor)).clip(0, 1), colours().of(name))
             for name, each in analysis.maps.items()]  # fmt: skip
    given.append(sheets.Panel("all\ndifferences", whole / (whole.max() or 1.0)))
    note = (
        "Colour: the part's share of the differences there. Last map: the size of the differences. "
        f"{drawn_over(analysis)}"
    )
    if len(given) <= FEW_MAPS:
        return sheets.panels(title, note, given)
    half = -(-len(given) // 2)
    return sheets.stack_vertically([sheets.panels(title, "", given[:half]), sheets.panels("", note, given[half:])])


def _in_lines(name: str) -> str:
    """The name of a part with LoRAs in two lines, so that it fits above a small map."""
    return name if name in NAMES.values() else name.replace(" with ", "\nwith ").replace(" three ", " three\n")


def coarse(components: numpy.ndarray) -> numpy.ndarray:
    """Values by element [H, W, 3] or [C, H, W] -> [h, w], summed over channels and over small squares."""
    flat = components.sum(-1) if components.shape[-1] == 3 else components.reshape(-1, *components.shape[-2:]).sum(0)
    step = max(1, -(-max(flat.shape) // MAP_SIDE))
    height, width = (-(-side // step) * step for side in flat.shape)
    padded = numpy.pad(flat, [(0, height - flat.shape[0]), (0, width - flat.shape[1])])
    return padded.reshape(height // step, step, width // step, step).sum((1, 3))
