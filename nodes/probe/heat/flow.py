"""The measure flow: the length of what a word adds to each image token. Pure torch, on ComfyUI's blocks.

Attention adds gate * W_o (sum over heads and tokens of share * v) to an image token. That sum is linear, so a word's
part is exact, and its length follows from the vectors u = W_o v of the word's own tokens with shares a:
|sum a_m u_m|^2 = a G a with G = u u^T.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...condition.blocks import Depth
from ...keys import REPLACE


class Flow:
    """For one forward. `vecs` holds the vec that each block was called with, by the block's number."""

    def __init__(self, flux: Any):
        self.blocks = [*flux.double_blocks, *flux.single_blocks]
        self.double = Depth.of(flux).double
        self.vecs: dict[int, Tensor] = {}

    def gram(
        self,
        block: int,
        v: Tensor,
        rows: slice,
        share: Tensor,
        words: Sequence[Tensor],
        columns: Tensor,
        parts: int,
    ) -> Tensor:
        """[parts, B, words, Q]: the length of what each word adds to each query.

        `parts` is 1 for all heads together, or the number of heads for each head alone. `share` [B, H, Q, C] are the
        queries' attention shares of the text columns, `columns` [C] the columns' indices in `v`, and `words` the
        indices into `columns` of each word's.
        """
        found = share.new_zeros(parts, share.shape[0], len(words), share.shape[2])
        gates = self._gate(block)[rows]
        for word, own in enumerate(words):
            if not len(own):
                continue
            values = v[rows][:, :, columns[own]]  # [B, H, J, D]
            for picture in range(share.shape[0]):
                added = self._added(block, values[picture]) * gates[picture].float()  # [H * J, hidden]
                weights = share[picture][:, :, own].permute(1, 0, 2).flatten(1)  # [Q, H * J]
                for part, (a, u) in enumerate(zip(weights.chunk(parts, 1), added.chunk(parts), strict=True)):
                    squares = ((a @ (u @ u.mT)) * a).sum(-1)
                    found[part, picture, word] = squares.clamp_min(0).sqrt()
        return found

    def _added(self, block: int, values: Tensor) -> Tensor:
        """[H * J, hidden]: W_o v for the values [H, J, D] of each head alone, without the bias."""
        heads, count, width = values.shape
        apart = values.new_zeros(heads, count, heads, width)
        index = torch.arange(heads, device=values.device)
        apart[index, :, index] = values
        rows = apart.reshape(heads * count, heads * width)
        project, extra = self._project(block)
        rows = torch.nn.functional.pad(rows, (0, extra))
        return (project(rows) - project(rows.new_zeros(1, rows.shape[1]))).float()

    def _project(self, block: int) -> tuple[Callable, int]:
        """(the block's W_o, the number of its input columns that are the MLP's)."""
        module = self.blocks[block]
        return (module.img_attn.proj, 0) if block < self.double else (module.linear2, module.mlp_hidden_dim)

    def _gate(self, block: int) -> Tensor:
        """[B, 1, hidden]"""
        module, vec = self.blocks[block], self.vecs[block]
        modulation = module.img_mod if block < self.double else module.modulation
        return modulation(vec)[0].gate


def watching(options: dict, depth: Depth, see: Callable[[int, dict], None]) -> dict:
    """transformer_options that call `see(block, args)` with each block's arguments and change nothing else."""
    replaced = options.get(REPLACE, {})
    given = replaced.get("dit", {})
    dit = dict(given)
    for number in range(depth.blocks):
        key = depth.key(number)
        dit[key] = partial(_seen, see, number, given.get(key))
    return {**options, REPLACE: {**replaced, "dit": dit}}


def _seen(see: Callable, number: int, before: Callable | None, args: dict, extra: dict) -> dict:
    see(number, args)
    return before(args, extra) if before is not None else extra["original_block"](args)
