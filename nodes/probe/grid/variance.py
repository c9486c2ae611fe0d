"""The shares of CLIP, T5, LoRAs, their interactions and the seed in the variance between pictures. Pure, on numpy.

A balanced analysis of variance. The prompts are fixed effects: the result is about those of the grid. The seeds are
random effects: every cell is sampled with the same seeds, so a seed is a block crossed with both prompts. From the
expected mean squares (Searle, Casella, McCulloch 1992, chapter 4), with MS the mean square of an effect:

    CLIP      (MS_clip - MS_clip,seed) / (seeds x T5 prompts)                      T5 likewise
    both      (MS_both - MS_both,seed) / seeds
    seed      (MS_seed - MS_clip,seed - MS_t5,seed + MS_both,seed) / (CLIP prompts x T5 prompts), and its interactions

LoRAs are a third fixed effect, with the interactions that follow from it.

Each estimate is unbiased: without an effect it is zero on average, and may be negative.

Confidence intervals are jackknife intervals over the seeds (Arvesen 1969), the independent samples, with Student's t.
The chance level of a part is exceeded in one of twenty grids if the part has no effect: an F test with Box's degrees of
freedom for correlated values (Box 1954), estimated after Bai and Saranadasa (1996).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy
from scipy.special import fdtri, ndtri, stdtrit
from torch import Tensor

from .. import repainted

SEED, CLIP, T5, LORA = 0, 1, 2, 3  # the axes of a grid of cells; LORA only where LoRAs are compared
FIXED = {
    "clip": frozenset({CLIP}), "t5": frozenset({T5}), "lora": frozenset({LORA}), "both": frozenset({CLIP, T5}),
    "clip_lora": frozenset({CLIP, LORA}), "t5_lora": frozenset({T5, LORA}), "clip_t5_lora": frozenset({CLIP, T5, LORA}),
}  # fmt: skip
LEVEL = 0.95
FEWEST = 3  # seeds that an interval needs
NOTHING = 1e-9  # relative to the whole: smaller differences are rounding
CHUNK = 2**16  # elements computed at a time


def fixed(axes: int) -> dict[str, frozenset]:
    """The fixed effects of a grid with this number of axes, by part."""
    return {part: effect for part, effect in FIXED.items() if max(effect) < axes}


def parts(axes: int) -> tuple[str, ...]:
    """The parts that are reported; "rest" is the sum of all interactions with the seed."""
    return (*fixed(axes), "seed", "rest")


def subsets(axes: int) -> list[frozenset]:
    """Every set of axes: the effects, and the empty set."""
    return [frozenset(each) for size in range(axes + 1) for each in combinations(range(axes), size)]


PARTS = parts(3)  # without LoRAs

Squares = Mapping[frozenset, numpy.ndarray]  # sums of squares by effect
Parts = dict[str, numpy.ndarray]


@dataclass(frozen=True)
class Estimates:
    """Estimates by part; parts that the design cannot estimate are left out, and with few seeds intervals and chance.

    `components` are variances of a cell, summed over its elements; shares, intervals (low, high) and chance are
    relative to their sum. The arrays have the leading dimensions of the inner products.
    """

    components: Parts
    shares: Parts
    intervals: dict[str, tuple[numpy.ndarray, numpy.ndarray]]
    chance: Parts


@dataclass(frozen=True)
class Analysis:
    """The analysis of one grid, by part; None if unknown. `maps` are the components of each element [...] of a picture.

    `design` is (seeds, CLIP prompts, T5 prompts), and LoRAs where they are compared. `repainted` is the repainted share
    of the picture, None without a mask.
    """

    shares: Mapping[str, float | None]
    components: Mapping[str, float | None]
    intervals: Mapping[str, tuple[float, float] | None]
    chance: Mapping[str, float | None]
    design: tuple[int, ...]
    maps: Mapping[str, numpy.ndarray]
    repainted: float | None = None


def analyse(cells: Tensor, mask: Tensor | None = None, axes: int = 3) -> Analysis:
    """Analyses cells [seeds, CLIP prompts, T5 prompts, ...], latents or pixels; with four axes [..., LoRAs, ...].

    With a mask [1, C, h, w] of their latents, only the repainted part counts.
    """
    cells = repainted.finished(cells.detach().to("cpu"), mask)
    design, shape = tuple(cells.shape[:axes]), tuple(cells.shape[axes:])
    gram, squares = _sums(cells, axes)
    named = parts(axes)
    found = estimates(gram, design)
    known = sum(found.components.values(), numpy.zeros(())) > NOTHING * numpy.trace(gram) / len(gram)

    def value(values: Parts, name: str) -> float | None:
        return float(values[name]) if known and name in values else None

    intervals = {name: (float(low), float(high)) for name, (low, high) in found.intervals.items() if known}
    return Analysis(
        {name: value(found.shares, name) for name in named},
        {name: value(found.components, name) for name in named},
        {name: intervals.get(name) for name in named},
        {name: value(found.chance, name) for name in named},
        design,
        {name: each.reshape(shape) for name, each in components(squares, design).items() if known},
        None if mask is None else float(repainted.share(mask, 1)),
    )


def estimates(gram: numpy.ndarray, design: tuple[int, ...]) -> Estimates:
    """Estimates from the inner products [..., K, K] of all cells, ordered by seed, CLIP prompt, T5 prompt, LoRA."""
    seeds, across = design[SEED], _across(gram, design)
    found = components(_squares(across), design)
    shares, whole = _shares(found)
    if seeds < FEWEST or not found:
        return Estimates(found, shares, {}, {})
    fewer = (seeds - 1, *design[1:])
    left = [_shares(components(_squares(_without(across, seed)), fewer))[0] for seed in range(seeds)]
    far = stdtrit(seeds - 1, (1 + LEVEL) / 2)
    intervals = {}
    for name, share in shares.items():
        spread = numpy.stack([each[name] for each in left]).std(0) * math.sqrt(seeds - 1) * far
        intervals[name] = (share - spread).clip(0, 1), (share + spread).clip(0, 1)
    chance = {name: _chance(across[effect], effect, design) / whole
              for name, effect in fixed(len(design)).items() if name in found}  # fmt: skip
    return Estimates(found, shares, intervals, chance)


def components(squares: Squares, design: tuple[int, ...]) -> Parts:
    """Unbiased variance components from sums of squares, of those parts that this design can estimate."""
    means = {effect: squares[effect] / _freedom(effect, design)
             for effect in subsets(len(design)) if effect and _freedom(effect, design)}  # fmt: skip
    found = {}
    for name, effect in fixed(len(design)).items():
        with_seed = effect | {SEED}
        if with_seed in means:
            found[name] = (means[effect] - means[with_seed]) / _others(effect, design)
    random = {}
    for effect in (each for each in means if SEED in each):
        signed = ((-1) ** len(larger - effect) * mean for larger, mean in means.items() if effect <= larger)
        random[effect] = sum(signed) / _others(effect, design)
    if random:
        found["seed"] = random.pop(frozenset({SEED}))
    return {**found, "rest": sum(random.values())} if random else found


def effects(means: Squares) -> dict[frozenset, numpy.ndarray]:
    """Sums of squares of all effects; `means` are those of the means over all axes that are not in the key."""
    return {u: sum((-1) ** len(u - v) * mean for v, mean in means.items() if v <= u) for u in means if u}


def _freedom(effect: frozenset, design: tuple[int, ...]) -> int:
    return math.prod(design[axis] - 1 for axis in effect)


def _others(effect: frozenset, design: tuple[int, ...]) -> int:
    """The number of cells in each mean of this effect."""
    return math.prod(size for axis, size in enumerate(design) if axis not in effect)


def _shares(found: Parts) -> tuple[Parts, numpy.ndarray]:
    """(each part's share of the sum of all parts, that sum)."""
    whole = sum(found.values(), numpy.zeros(()))
    whole = numpy.where(whole == 0, 1.0, whole)
    return {name: each / whole for name, each in found.items()}, whole


def _across(gram: numpy.ndarray, design: tuple[int, ...]) -> dict[frozenset, numpy.ndarray]:
    """Inner products [..., S, S] between seeds, of each seed's effects of the prompts and LoRAs."""
    products = gram.reshape(*gram.shape[:-2], *design, *design)
    axes = range(1, len(design))
    left, right = "abc"[: len(axes)], "def"[: len(axes)]
    terms = f"...s{left}t{right},{','.join(map(''.join, zip(left, right, strict=True)))}->...st"
    found = {}
    for effect in (frozenset(), *fixed(len(design)).values()):
        averaged = [numpy.full((design[axis],) * 2, 1 / design[axis]) for axis in axes]
        projections = [numpy.eye(len(mean)) - mean if axis in effect else mean
                       for axis, mean in zip(axes, averaged, strict=True)]  # fmt: skip
        found[effect] = numpy.einsum(terms, products, *projections, optimize=True)
    return found


def _without(across: Squares, seed: int) -> dict[frozenset, numpy.ndarray]:
    return {effect: numpy.delete(numpy.delete(each, seed, -1), seed, -2) for effect, each in across.items()}


def _squares(across: Squares) -> dict[frozenset, numpy.ndarray]:
    """Sums of squares of every effect: the mean over seeds, and the deviations from it (interactions with the seed)."""
    found = {}
    for effect, each in across.items():
        common = each.sum((-1, -2)) / each.shape[-1]
        found[effect], found[effect | {SEED}] = common, numpy.trace(each, axis1=-2, axis2=-1) - common
    return found


def _chance(across: numpy.ndarray, effect: frozenset, design: tuple[int, ...]) -> numpy.ndarray:
    """The chance level [...] of this effect's component: without an effect, one of twenty grids exceeds it."""
    free = design[SEED] - 1
    centre = numpy.eye(free + 1) - 1 / (free + 1)
    covariance = centre @ across @ centre / free
    trace = numpy.trace(covariance, axis1=-2, axis2=-1)
    squared = ((covariance**2).sum((-1, -2)) - trace**2 / free) * free**2 / ((free - 1) * (free + 2))
    freedom = numpy.maximum(trace**2 / numpy.maximum(squared, numpy.finfo(float).tiny), 1.0)
    # The variance is itself estimated, with this many degrees of freedom.
    wider = stdtrit(free * (free + 1) / 2 - 1, LEVEL) / ndtri(LEVEL)
    over = (fdtri(freedom, freedom * free, LEVEL) - 1) * wider
    return trace * over / _freedom(effect, design) / _others(effect, design)


def _sums(cells: Tensor, axes: int) -> tuple[numpy.ndarray, dict[frozenset, numpy.ndarray]]:
    """(inner products [K, K] of all cells minus the grand mean, every effect's sum of squares by element)."""
    flat = cells.flatten(axes)
    count = flat.shape[:axes].numel()
    gram, found = numpy.zeros((count, count)), []
    for chunk in flat.split(CHUNK, dim=axes):
        values = chunk.double().numpy()
        values = values - values.mean(tuple(range(axes)))
        rows = values.reshape(count, -1)
        gram += rows @ rows.T
        found.append(effects({v: _mean_squares(values, v) for v in subsets(axes)}))
    return gram, {u: numpy.concatenate([each[u] for each in found]).astype(numpy.float32) for u in found[0]}


def _mean_squares(values: numpy.ndarray, kept: frozenset) -> numpy.ndarray:
    """[E]: the sum of squares of the means of values [S, N, M, ..., E] over the axes that are not in `kept`."""
    others = tuple(axis for axis in range(values.ndim - 1) if axis not in kept)
    count = math.prod(values.shape[axis] for axis in others)
    return count * (values.mean(others) ** 2).reshape(-1, values.shape[-1]).sum(0)
