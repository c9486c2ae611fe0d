"""References for the probes: shares of a dense softmax, and velocities of native runs on the same x_t."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import comfy.samplers
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor
from torch.nn.functional import avg_pool2d

from flux_duet.tests.comfy import native
from flux_duet.tests.comfy.matrix.dense import BLOCKS, Truth, overridden
from flux_duet.tests.comfy.matrix.graph import Graph, natively


def drawn(graph: Graph) -> Tensor:
    """The picture of a graph without controls, by the graph's own sampler."""
    return graph.sampler(graph) if graph.sampler is not None else natively(graph)


def watched(graph: Graph, kind: str, wrapper: Callable, begin: Callable = lambda: None) -> Graph:
    """The graph with `wrapper` added to its model; `begin` is called when a run starts."""
    model = graph.model.clone()

    def around(executor, *args, **kwargs):
        begin()
        return executor(*args, **kwargs)

    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, "watched", around)
    model.add_wrapper_with_key(kind, "watched", wrapper)
    return replace(graph, model=model)


# ---- shares of the attention


class Shares:
    """The attention shares of each word of the positive's first prompt, in the last run.

    `words` are the words' rows, among the first `length`. `masses` [words] are the means over all steps, blocks and
    pictures; `maps` [words, h, w] over steps and blocks, of the first picture, by its tokens, as much as its pixels are
    this prompt's. With `truth` it is replaced as by a control, and read where it is not another one. Where a sampler
    takes only a part of the picture, masses are over that, and `counted` [h, w] are the tokens it is in; else None.
    """

    def __init__(self, graph: Graph, length: int, words: Sequence[Sequence[int]], truth=lambda step: None):
        self.words, self.prompt = words, graph.positive[0][0]

        def see(step: int, shares: Tensor) -> None:
            if (truth(step) or Truth()).txt is None:
                self.now.append(shares)

        self.masks = masks_of(graph)
        tokens = [pooled(each[None])[0] for each in self.masks.values()]
        self.counted = torch.stack(tokens).amax(0) > 0 if tokens else None
        model = overridden(graph, length, lambda step: truth(step) or Truth(), see)
        self._begin()
        drawn(watched(replace(graph, model=model), WrappersMP.CALC_COND_BATCH, self._evaluate, self._begin))
        self.masses, self.maps = (torch.stack(each).mean(0) for each in (self.found, self.placed))

    def _begin(self) -> None:
        self.now, self.found, self.placed = [], [], []

    def _evaluate(self, executor, model, conds, x, timestep, options):
        out = executor(model, conds, x, timestep, options)
        forwards, rest = divmod(len(self.now), len(BLOCKS))
        if forwards and not rest:  # a node's extra evaluation without some blocks does not count
            shares = torch.stack(self.now).unflatten(0, (forwards, -1)).mean(1).flatten(0, 1)  # of all blocks
            words = torch.stack([shares[..., list(rows)].sum(-1) for rows in self.words], 1)  # [B, words, tokens]
            weight, area = self._part(conds, x, timestep)
            self._place(words.unflatten(0, (-1, len(x))).mean(0), weight, area, self.masks.get(float(timestep[0])))
        self.now = []
        return out

    def _part(self, conds, x: Tensor, timestep: Tensor) -> tuple[Tensor, tuple]:
        """([H, W]: this prompt's weight at each latent pixel, its area), computed by ComfyUI."""
        for cond in filter(None, conds):
            places = [comfy.samplers.get_area_and_mult(entry, x, timestep) for entry in cond]
            weights = [self._spread(each, x) for each in places]
            for number, entry in enumerate(cond):
                if "default" in entry:  # the weight that other entries leave
                    others = sum(weight for at, weight in enumerate(weights) if at != number)
                    weights[number] = (1 - others).clamp_min(0)
            own = [place is not None and self._says(place.conditioning["c_crossattn"].cond) for place in places]
            if any(own):
                area = places[own.index(True)].area
                part = sum(weight for weight, is_own in zip(weights, own, strict=True) if is_own)
                return part / sum(weights), tuple(area or (*x.shape[2:], 0, 0))
        raise AssertionError("the prompt is in none of the evaluation's")

    def _says(self, rows: Tensor) -> bool:
        return rows.shape[1:] == self.prompt.shape[1:] and torch.equal(rows[:1], self.prompt.to(rows))

    def _spread(self, place, x: Tensor) -> Tensor:
        weight = torch.full(x.shape[2:], 1e-37)
        if place is not None:
            height, width, top, left = place.area or (*x.shape[2:], 0, 0)
            weight[top : top + height, left : left + width] += place.mult[0, 0]
        return weight

    def _place(self, words: Tensor, weight: Tensor, area: tuple, mask: Tensor | None) -> None:
        height, width, top, left = area
        counts = weight if mask is None or not (weight * mask).any() else weight * mask
        tokens = pooled(counts[None, top : top + height, left : left + width]).flatten()
        self.found.append((words * tokens / tokens.sum()).sum(-1).mean(0))
        wide = words[0].unflatten(-1, (-(-height // 2), -(-width // 2))).repeat_interleave(2, 1).repeat_interleave(2, 2)
        whole = torch.zeros(len(wide), *weight.shape)
        whole[:, top : top + height, left : left + width] = wide[:, :height, :width]
        self.placed.append(pooled(whole * weight))


def pooled(pixels: Tensor) -> Tensor:
    """[C, H, W] by tokens of 2 x 2, of which those at the edge may have fewer."""
    return avg_pool2d(pixels, 2, ceil_mode=True, count_include_pad=False)


# ---- velocities


def masks_of(run: Graph) -> dict[float, Tensor]:
    """{sigma: [h, w]} of a run whose LATENT has a noise_mask; nothing for others."""
    if "noise_mask" not in run.latent:
        return {}
    sigmas = torch.tensor([float(at[0]) for _, at in seen_by(run)] + [0.0])
    masks = native.masks_in_use(run.model, run.positive, run.latent, sigmas)
    return {float(sigma): mask[0, 0] for sigma, mask in zip(sigmas, masks, strict=False)}


def effects(run: Graph, variants: dict[str, Graph], keeps: bool = False) -> dict[int, dict[str, float]]:
    """{step: D_clip, D_t5, ...} of the run's last sampler, from native runs of each of the ways on that run's x_t.

    Of what the sampler takes of each velocity.

    With `keeps`, what the run's first forward leaves behind is there for the ways too.
    """
    seen = seen_by(run)
    first = variants["v11"] if keeps else None
    found = {name: velocities(graph, seen, first) for name, graph in variants.items()}
    found = {name: taken(run, seen, each) for name, each in found.items()}
    return {step: _numbers(**{name: each[step] for name, each in found.items()}) for step in range(len(seen))}


def taken(run: Graph, seen: Sequence[tuple[Tensor, Tensor]], velocities: Sequence[Tensor]) -> list[Tensor]:
    """The part of the velocity that the run's sampler uses at each of the steps seen."""
    masks = masks_of(run)
    return [each * masks.get(float(at[0]), 1.0) for each, (_, at) in zip(velocities, seen, strict=True)]


def seen_by(run: Graph) -> list[tuple[Tensor, Tensor]]:
    """(x_t, sigma) of each step of the last sampler's run."""
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(executor, model, conds, x, timestep, options):
        if not any(torch.equal(timestep, at) for _, at in seen):  # not a node's extra evaluation
            seen.append((x.clone(), timestep.clone()))
        return executor(model, conds, x, timestep, options)

    drawn(watched(run, WrappersMP.CALC_COND_BATCH, keep, seen.clear))
    return seen


def velocities(graph: Graph, seen: Sequence[tuple[Tensor, Tensor]], first: Graph | None) -> list[Tensor]:
    """Velocities of the positive alone, in a run whose x_t are replaced by those seen."""
    found: list[Tensor] = []
    if first is not None:  # the run's own prompt is evaluated first, as the positive, and the variant as the negative
        graph = replace(graph, positive=first.positive, negative=graph.positive, cfg=3.0)
    else:
        graph = replace(graph, negative=None, cfg=1.0)

    def ask(executor, model, conds, x, timestep, options):
        if not found:
            if first is not None:
                executor(model, conds[:1], *seen[0], options)
            for other, at in seen:
                (out,) = executor(model, conds[first is not None :][:1], other, at, options)
                found.append((other - out) / at[0])
        return [torch.zeros_like(x) for _ in conds]

    natively(watched(replace(graph, guider=None, native=None), WrappersMP.CALC_COND_BATCH, ask))
    return found


def _numbers(v11: Tensor, v10: Tensor, v01: Tensor, v00: Tensor) -> dict[str, float]:
    """The effects as defined in nodes/probe/influence/effects.py, relative to |v11|."""
    parts = {
        "D_clip": v11 - v10,
        "D_t5": v11 - v01,
        "solo_clip": v01 - v00,
        "solo_t5": v10 - v00,
        "interaction": v11 - v10 - v01 + v00,
        "whole": v11 - v00,
    }
    return {name: float(each.norm() / v11.norm()) if v11.any() else 0.0 for name, each in parts.items()}
