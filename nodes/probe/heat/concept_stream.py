"""ConceptAttention (Helbling et al. 2025, arXiv 2502.04320): concepts beside a forward's text. Pure torch, on blocks.

Each concept is one row. In a double block it takes the text's way with the text's weights (modulation, qkv, projection,
MLP), but its query attends to the concepts and the image tokens alone, and nothing attends to it, so the forward is
unchanged. It is modulated by a vec of its own: time and guidance as the text's, and zeros in place of the CLIP vector,
as in the authors' code. A concept's map is the inner product of its attention output with that of each image token, as
a softmax over the concepts, without a scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from .accumulate import Chunk


class ConceptStream:
    """The concepts in one forward, with `vec` [B, C]. `rows` [B, N, C] are at first those that txt_in returned.

    For each block: `enter`, `attend`, then `leave`. A block that another node skips is skipped here too.
    """

    def __init__(self, rows: Tensor, vec: Tensor):
        self.rows, self.vec = rows, vec
        self.block: Any = None
        self.attended: Tensor | None = None

    def enter(self, block: Any) -> None:
        """At the beginning of a double block."""
        self.block, self.attended = block, None
        self.attention, self.mlp = block.txt_mod(self.vec)
        qkv = block.txt_attn.qkv(_modulated(block.txt_norm1(self.rows), self.attention))
        q, k, self.v = qkv.unflatten(-1, (3, block.num_heads, -1)).permute(2, 0, 3, 1, 4)
        # The concepts' position is 0, as the text's, where RoPE changes nothing.
        self.q, self.k = block.txt_attn.norm(q, k, self.v)

    def attend(self, keys: Tensor, values: Tensor) -> None:
        """`keys`, with RoPE, and `values` [B, heads, tokens, D] are those of the image tokens."""
        k, v = torch.cat((self.k, keys), 2), torch.cat((self.v, values), 2)
        self.attended = scaled_dot_product_attention(self.q, k, v).transpose(1, 2).flatten(2)

    def leave(self, image: Tensor) -> Tensor | None:
        """[B, N, tokens]: each concept's share of each image token, whose attention outputs are `image` [B, tokens, C].

        Changes the rows as the block changes its text. None if the block's attention was not seen.
        """
        own, block, self.attended = self.attended, self.block, None
        if own is None:
            return None
        rows = self.rows + block.txt_attn.proj(own) * self.attention.gate
        rows = rows + block.txt_mlp(_modulated(block.txt_norm2(rows), self.mlp)) * self.mlp.gate
        self.rows = rows.nan_to_num(nan=0.0, posinf=65504, neginf=-65504) if rows.dtype == torch.float16 else rows
        return (own.float() @ image.float().mT).softmax(1)


def _modulated(rows: Tensor, by: Any) -> Tensor:
    return rows * (1 + by.scale) + by.shift


class ConceptForward:
    """The state of one forward: its chunks, which get the maps, and its concepts.

    `rows` [N, 4096] are T5's, `vec` [B, C] is what the concepts are modulated by.
    """

    def __init__(self, chunks: list[Chunk], rows: Tensor, vec: Tensor, flux: Any, context: Tensor):
        self.chunks, self.seen = chunks, False
        self.blocks, self.tokens = flux.double_blocks, chunks[0].grid.tokens
        self.image = slice(0, 0)
        self.stream = ConceptStream(flux.txt_in(rows.to(context)).expand(len(context), -1, -1), vec)
        for chunk in chunks:
            chunk.allocate(chunk.rows.stop - chunk.rows.start, len(chunk.wanted.words) + 1, context.device)

    def enter(self, block: int, txt: int) -> None:
        """`txt` is the number of text rows, which stand before the image tokens."""
        self.image = slice(txt, txt + self.tokens)
        self.stream.enter(self.blocks[block])

    def attend(self, k: Tensor, v: Tensor, pe: Tensor | None, rotate: Callable[[Tensor, Tensor], Tensor]) -> None:
        """`k` and `v` [B, heads, L, D] are the block's before RoPE, which is `rotate` with `pe` [B or 1, 1, L, ...]."""
        keys = k[:, :, self.image]
        self.stream.attend(keys if pe is None else rotate(keys, pe[:, :, self.image]), v[:, :, self.image])

    def leave(self, block: int, attn: Tensor, keep: bool) -> None:
        """`attn` [B, L, C] is the block's attention output; its map is kept if `keep`."""
        shares = self.stream.leave(attn[:, self.image])
        if shares is None:
            return
        self.seen = True
        for chunk in self.chunks if keep else ():
            chunk.note_concepts(block, shares[chunk.rows])
