"""How much of what differs between pictures does CLIP explain, T5, both together, the seed? Pure numpy.

A balanced analysis of variance of three crossed factors, an element of a picture at a time: with M_V the sum of squares
of the means over all factors that are not in V, the sum of squares of an effect is sum over V in U of (-1)^|U - V| M_V
(for two factors the textbook's; R. A. Fisher 1925). They are orthogonal, so they add up to the whole without a rest.

Summed over elements each M_V depends on the cells' inner products alone: a bootstrap needs no picture again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy
from torch import Tensor

SEED, CLIP, T5 = 0, 1, 2  # the axes of a grid of cells
SUBSETS = [frozenset(each) for size in range(4) for each in combinations((SEED, CLIP, T5), size)]
# What is told: the interactions with the seed, which no prompt and no seed decides alone, are one part.
PARTS: dict[str, list[frozenset]] = {
    "clip": [frozenset({CLIP})],
    "t5": [frozenset({T5})],
    "both": [frozenset({CLIP, T5})],
    "seed": [frozenset({SEED})],
    "rest": [subset for subset in SUBSETS if SEED in subset and len(subset) > 1],
}
DRAWS, LEVEL = 1000, 0.95
FEWEST = 3  # levels of a factor that can be drawn again: of two, half of the draws would be one of them twice
NOTHING = 1e-9  # of the whole: what rounding leaves of no difference
CHUNK = 2**16  # elements at a time


@dataclass(frozen=True)
class Analysis:
    """Shares of the whole variance, None where the grid cannot tell. `maps` are sums of squares [...] of a picture."""

    shares: Mapping[str, float | None]
    intervals: Mapping[str, tuple[float, float] | None]
    over: list[int]  # the axes that the bootstrap drew from
    design: tuple[int, int, int]
    maps: Mapping[str, numpy.ndarray]


def analyse(cells: Tensor, draws: int = DRAWS, seed: int = 0) -> Analysis:
    """cells [seeds, CLIP prompts, T5 prompts, ...] -> what explains their differences."""
    design, shape = tuple(cells.shape[:3]), tuple(cells.shape[3:])
    gram, squares = _sums(cells)
    whole = numpy.trace(gram)
    known = {name: _known(name, design) and whole > 0 for name in PARTS}
    shares = _shares(effects(_means(gram, design)), whole)
    over = [axis for axis in (SEED, CLIP, T5) if design[axis] >= FEWEST]
    drawn = _bootstrap(gram, design, over, draws, seed) if over and whole > 0 else None
    edges = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return Analysis(
        {name: float(shares[name]) if known[name] else None for name in PARTS},
        {name: tuple(numpy.quantile(drawn[name], edges).tolist()) if known[name] and drawn else None for name in PARTS},
        over,
        design,
        {name: _part(squares, name).reshape(shape) for name in PARTS if known[name]},
    )


def effects(means: Mapping[frozenset, numpy.ndarray]) -> dict[frozenset, numpy.ndarray]:
    """Sums of squares of all effects, from those of the means."""
    return {u: sum((-1) ** len(u - v) * means[v] for v in SUBSETS if v <= u) for u in SUBSETS if u}


def _known(name: str, design: tuple[int, ...]) -> bool:
    """Whether a grid of this design has any effect of this part."""
    return any(all(design[axis] > 1 for axis in effect) for effect in PARTS[name])


def _part(squares: Mapping[frozenset, numpy.ndarray], name: str):
    return sum(squares[effect] for effect in PARTS[name])


def _shares(squares: Mapping[frozenset, float], whole: float) -> dict[str, float]:
    return {name: _part(squares, name) / (whole or 1.0) for name in PARTS}


def _sums(cells: Tensor) -> tuple[numpy.ndarray, dict[frozenset, numpy.ndarray]]:
    """The inner products of all cells [K, K], less the grand mean; and every effect's sum of squares by element."""
    flat = cells.detach().to("cpu").flatten(3)
    count = flat.shape[:3].numel()
    gram, parts = numpy.zeros((count, count)), []
    for chunk in flat.split(CHUNK, dim=3):
        values = chunk.double().numpy()
        values = values - values.mean((0, 1, 2))
        rows = values.reshape(count, -1)
        gram += rows @ rows.T
        parts.append(effects({v: _mean_squares(values, v) for v in SUBSETS}))
    return gram, {u: numpy.concatenate([part[u] for part in parts]).astype(numpy.float32) for u in parts[0]}


def _mean_squares(values: numpy.ndarray, kept: frozenset) -> numpy.ndarray:
    """M_V by element: values [S, N, M, E], the means over the axes that are not kept, squared and summed."""
    others = tuple(axis for axis in (SEED, CLIP, T5) if axis not in kept)
    count = math.prod(values.shape[axis] for axis in others)
    return count * (values.mean(others) ** 2).reshape(-1, values.shape[3]).sum(0)


def _means(gram: numpy.ndarray, design: tuple[int, ...]) -> dict[frozenset, float]:
    """M_V of all elements together, from the inner products."""
    products, means = gram.reshape(*design, *design), {}
    for kept in SUBSETS:
        # An index that both sides share stands for an axis that is kept: a b c, a e f for the first.
        other = "".join("abc"[axis] if axis in kept else "def"[axis] for axis in (SEED, CLIP, T5))
        count = math.prod(design[axis] for axis in (SEED, CLIP, T5) if axis not in kept)
        means[kept] = numpy.einsum(f"abc{other}->", products) / count
    return means


def _bootstrap(
    gram: numpy.ndarray, design: tuple[int, ...], over: list[int], draws: int, seed: int
) -> dict[str, numpy.ndarray]:
    """The shares of grids whose prompts and seeds were drawn again, with replacement, from those there are."""
    rng = numpy.random.default_rng(seed)
    places = numpy.arange(math.prod(design)).reshape(design)
    found: dict[str, list[float]] = {name: [] for name in PARTS}
    while len(found["clip"]) < draws:
        levels = [rng.integers(size, size=size) if axis in over else numpy.arange(size)
                  for axis, size in enumerate(design)]  # fmt: skip
        chosen = places[numpy.ix_(*levels)].ravel()
        squares = _unshrunk(effects(_means(gram[numpy.ix_(chosen, chosen)], design)), design, over)
        whole = sum(squares.values())
        if whole > NOTHING * numpy.trace(gram):  # else the draw is of one cell alone
            for name, share in _shares(squares, whole).items():
                found[name].append(share)
    return {name: numpy.array(values) for name, values in found.items()}


def _unshrunk(squares: dict[frozenset, float], design: tuple[int, ...], over: list[int]) -> dict[frozenset, float]:
    """Of n levels drawn again some come twice, so that their variance is (n - 1) / n of that which they came from."""
    factor = {axis: design[axis] / (design[axis] - 1) if axis in over else 1.0 for axis in (SEED, CLIP, T5)}
    return {u: max(value, 0.0) * math.prod(factor[axis] for axis in u) for u, value in squares.items()}
