"""The shares of time, guidance and CLIP in the modulation. Pure torch.

Every block's modulation is W SiLU(time_in(t) + guidance_in(g) + vector_in(clip)) + b (BFL's flux/modules/layers.py).
SiLU is not linear, so each of the three sources gets its Shapley value of the difference to W SiLU(0) + b, from all
eight subsets of the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor
from torch.nn.functional import silu

SOURCES = ("time", "guidance", "clip")
Table = Callable[[Tensor], Tensor]


def tables(flux) -> dict[str, list[Table]] | None:
    """A FLUX.1's modulation layers by the kind of block; None for a model without these attributes."""
    try:
        return {
            "double, picture": [block.img_mod.lin for block in flux.double_blocks],
            "double, text": [block.txt_mod.lin for block in flux.double_blocks],
            "single": [block.modulation.lin for block in flux.single_blocks],
            "last layer": [flux.final_layer.adaLN_modulation[1]],
        }
    except AttributeError:
        return None


def subsets(device: torch.device | None = None) -> Tensor:
    """[8, 3]: which sources are in each subset, bit n for source n. Made on the device, so that a GPU does not wait."""
    return torch.arange(8, device=device)[:, None] >> torch.arange(len(SOURCES), device=device) & 1


def weights(device: torch.device | None = None) -> Tensor:
    """[3, 8]: Shapley weights of each subset's value for each source: k! (2 - k)! / 3! for k other sources in it."""
    bits = subsets(device)
    others = bits.sum(1, keepdim=True) - bits
    shares = torch.where(others == 1, 1 / 6, 1 / 3)
    return torch.where(bits > 0, shares, -shares).T.contiguous()


def parts(table: Mapping[str, Sequence[Table]], embeddings: Sequence[Tensor], null: Tensor) -> Tensor:
    """[kinds + 1, 5]: <part, E> of the three sources, |E|^2, |f - f(null)|^2; the last row is the sum of all kinds.

    `embeddings` are those of the three sources [hidden], `null` [hidden] is vector_in of the null's vec.
    """
    rows = subsets(embeddings[0].device).to(embeddings[0]) @ torch.stack(list(embeddings))
    rows = silu(torch.cat([rows, (embeddings[0] + embeddings[1] + null)[None]]))  # [9, hidden]
    count = weights(rows.device)
    out = [sum(_of_one(each(rows).float(), count) for each in kind) for kind in table.values()]
    return torch.stack([*out, sum(out)])


def _of_one(values: Tensor, count: Tensor) -> Tensor:
    whole = values[7] - values[0]
    dots = (count @ values[:8]) @ whole
    return torch.stack([*dots, whole @ whole, (values[7] - values[8]).square().sum()])


def shares(several: Sequence[Tensor], kinds: Sequence[str]) -> dict[str, dict[str, float]]:
    """Each source's share by kind of block over several steps' `parts`, and the relative change by the CLIP prompt."""
    total = sum(each.double() for each in several)
    out = {}
    for kind, row in zip(chain(kinds, ["all"]), total, strict=True):
        whole = float(row[3])
        numbers = {source: float(row[at]) / whole for at, source in enumerate(SOURCES)}
        out[kind] = {**numbers, "clip_prompt": (float(row[4]) / whole) ** 0.5}
    return out
