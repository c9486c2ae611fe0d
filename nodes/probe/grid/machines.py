"""Whether the machines that made a grid's cells differ: a factor beside the prompts and the seed. Pure torch.

Workers take cells as they come, so machines are not crossed with the prompts. Therefore the machine is compared on what
the prompts and the seed leave unexplained: each cell minus the mean over seeds of its prompts, minus its seed's mean,
plus the grand mean. Its share is the sum of squares between machines, less what chance gives (the mean over
permutations of the cells), relative to all squares around the grand mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..percent import percent
from .cells_made import facts_of
from .choices import NAME

LEVEL, PERMUTATIONS = 0.95, 400


def shares(latents: Tensor, machines: Sequence[str]) -> dict[str, Any] | None:
    """{"share", "chance"} of the machine for cells [L, S, N, M, ...]; None if there is nothing to compare.

    `chance` is what machines that do not differ stay below in 19 of 20 grids.
    """
    names = sorted({*machines})
    if len(names) < 2 or latents.shape[1] < 2:
        return None
    seeds = latents.shape[1]
    flat = latents.flatten(4).movedim(1, 0).flatten(1, 3).double()  # [S, cells of a seed, E]
    whole = flat - flat.mean((0, 1))
    rest = (whole - whole.mean(0) - whole.mean(1, keepdim=True)).flatten(0, 1)
    gram, all_squares = rest @ rest.T, float(whole.square().sum())
    if all_squares == 0:
        return None
    grid = torch.tensor([names.index(each) for each in machines]).reshape(latents.shape[0], seeds, -1)
    groups = torch.nn.functional.one_hot(grid.movedim(1, 0).flatten(), len(names)).double()
    random = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(groups), generator=random) for _ in range(PERMUTATIONS)]
    drawn = torch.tensor([_between(gram, groups[order]) for order in orders])
    share = (_between(gram, groups) - float(drawn.mean())) / all_squares
    return {"share": share, "chance": float((drawn.quantile(LEVEL) - drawn.mean()) / all_squares)}


def _between(gram: Tensor, groups: Tensor) -> float:
    """The sum of squares of the groups' means; `gram` holds the cells' inner products, `groups` is one-hot."""
    return float((groups * (gram @ groups)).sum(0).div(groups.sum(0)).sum())


def by_machine(drawn) -> dict[str, Any]:
    """For a grid's JSON: each cell's machine, and the machine's share of the latents' variance. {} without workers."""
    if not any(drawn.made):
        return {}
    facts = facts_of(drawn.made)
    names = [each["machine"] for each in facts]
    factor: Mapping[str, Any] | None = shares(drawn.latents, names)
    return {"cells": facts, "machines": {name: names.count(name) for name in sorted({*names})}, "machine": factor}


def note(found: Mapping[str, Any]) -> list[str]:
    """A message if the machines differ by more than chance; `found` is the result of `by_machine`."""
    factor = found.get("machine")
    if factor is None or factor["share"] <= factor["chance"]:
        return []
    return [
        f"{NAME}: the machines that drew the cells explain {percent(factor['share'])} of the differences in the "
        f"latents, more than chance ({percent(factor['chance'])}): their pictures differ. Use "
        "machines of one kind."
    ]
