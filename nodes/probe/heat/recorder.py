"""Watches the attention of one run and keeps a map for each word. Imports ComfyUI.

It stands where ComfyUI calls its attention, innermost: a prompt's own controls (weights, regions) come before it, and
say which of all tokens a call is about. Only the positive prompt's rows are kept.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...condition.time.clock import step_at
from ...sample.attention import GROUP, with_heads
from ..attach import AGAIN, with_wrapper
from .flow import Flow
from .lse import Attention, shares
from .reading import FLOW, OUTPUT, Reading
from .tokens import Wanted

KEY = "flux_duet_heatmap"
OVERRIDE = "optimized_attention_override"
HEADS = 4  # at a time: all of a picture's tokens by all of a text's is large


class Recorder:
    """For one run. Every `every`-th step is watched; `apart` keeps each head's maps and not their mean."""

    def __init__(self, wanted: Wanted, measure: str, every: int, sigmas: Tensor, flux: Any, apart: bool = False):
        self.wanted, self.measure, self.every = wanted, measure, every
        self.heads = flux.params.num_heads if apart else 1
        self.levels = sigmas.tolist()
        self.depth = len(flux.double_blocks), len(flux.single_blocks)
        self.attention, self.flow = Attention(), Flow(flux) if measure == FLOW else None
        self.steps: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self.now: _Forward | None = None
        self.size = (0, 0)

    def options(self, options: dict) -> dict:
        self.inner = options.get(OVERRIDE)
        options = with_wrapper({**options, OVERRIDE: self._attend}, WrappersMP.DIFFUSION_MODEL, KEY, self._forward)
        if self.flow is not None:
            options = self.flow.watching(options)
        if self.measure == OUTPUT:
            patches = options.get("patches", {})
            outputs = [*patches.get("attn1_output_patch", []), self._output]
            options = {**options, "patches": {**patches, "attn1_output_patch": outputs}}
        return options

    def reading(self) -> Reading:
        """Raises ValueError where no attention was seen."""
        if not self.steps:
            raise ValueError(
                "Token Heatmap: the run's attention was never seen. This model's blocks do not use ComfyUI's attention "
                "(wrapped models, and packs that replace FLUX's forward), so there is nothing to show."
            )
        numbers = sorted(self.steps)
        means = [[torch.stack(parts).mean(0) for parts in zip(*self.steps[number], strict=True)] for number in numbers]
        maps, groups = (torch.stack(parts) for parts in zip(*means, strict=True))
        sigmas = tuple(self.levels[number] for number in numbers)
        return Reading(self.measure, self.wanted.words, maps, groups, sigmas, tuple(numbers), self.depth[0], self.size,
                       heads=self.heads)  # fmt: skip

    # ---- the hooks

    def _forward(self, executor, x, timestep, context, *args, **kwargs):
        """Around a forward: which rows are the positive's, and how its tokens stand."""
        options = kwargs.get("transformer_options") or next(each for each in reversed(args) if isinstance(each, dict))
        chunks, step = options["cond_or_uncond"], self._step(float(options["sigmas"][0]))
        if 0 not in chunks or step % self.every or options.get(AGAIN):
            return executor(x, timestep, context, *args, **kwargs)
        each = x.shape[0] // len(chunks)
        start = chunks.index(0) * each
        patch = executor.class_obj.patch_size
        self.size = tuple(-(-side // patch) for side in x.shape[2:])
        member = self.wanted.of(context.shape[1]).to(x.device)
        image = self.size[0] * self.size[1]
        rows, blocks = slice(start, start + each), sum(self.depth)
        self.now = _Forward(rows, member, image, len(self.wanted.words), blocks, self.heads)
        try:
            return executor(x, timestep, context, *args, **kwargs)
        finally:
            if self.now.seen:
                self.steps.setdefault(step, []).append(self.now.result())
            self.now = None

    def _step(self, sigma: float) -> int:
        """The step that an evaluation belongs to, those that a solver makes inside it too."""
        return step_at(self.levels, sigma)

    def _attend(self, attention, q, k, v, *args, mask=None, **kwargs):
        ask = partial(self.inner, attention) if self.inner is not None else attention
        options = kwargs["transformer_options"]
        group = options.get(GROUP)
        if self.now is None or (GROUP in options and group is None):  # a negative: the picture does not see it
            return ask(q, k, v, *args, mask=mask, **kwargs)
        out, lse = self.attention(ask, q, k, v, args, mask, kwargs)
        block = options["block_index"] + (self.depth[0] if options["block_type"] == "single" else 0)
        self.now.note(block, q, k, lse, mask, group, self.flow and partial(self.flow.gram, block, v))
        return out

    def _output(self, attn: Tensor, options: dict) -> Tensor:
        if self.now is not None:
            block = options["block_index"] + (self.depth[0] if options["block_type"] == "single" else 0)
            self.now.note_output(block, attn)
        return attn


class _Forward:
    """One forward's maps, while it runs: shares of each word for each image token, of each head or of their mean."""

    def __init__(self, rows: slice, member: Tensor, image: int, words: int, blocks: int, heads: int):
        self.rows, self.member, self.image, self.words, self.heads = rows, member, image, words, heads
        self.mass = torch.zeros(blocks, heads, rows.stop - rows.start, member.shape[1], image, device=member.device)
        self.other = None  # another measure's maps, where there is one
        self.seen = False

    def note(self, block: int, q, k, lse, mask, group, gram) -> None:
        """What the image's tokens among the queries have of the text's among the columns."""
        self.seen = True
        txt = len(self.member)
        queries, places = _image_of(q, group, txt, self.image)
        columns = torch.arange(k.shape[2], device=k.device) if group is None or group.columns is None else group.columns
        text = (columns < txt).nonzero()[:, 0]
        if not len(places) or not len(text):
            return
        kinds = self.member[columns[text]]  # [C, kinds]
        q, lse, k = q[self.rows][:, :, queries], lse[self.rows][:, :, queries], k[self.rows][:, :, text]
        mask = None if mask is None else _part(with_heads(mask, torch.float32), self.rows, queries, text)
        for start in range(0, q.shape[1], HEADS):
            heads = slice(start, start + HEADS)
            share = shares(q[:, heads], k[:, heads], lse[:, heads], None if mask is None else _heads(mask, heads))
            found = (share @ kinds).transpose(0, 1).mT  # [heads, B, kinds, image tokens]
            if self.heads > 1:
                self.mass[block, heads, :, :, places] = found
            else:
                self.mass[block, 0][:, :, places] += found.sum(0) / q.shape[1]
        if gram is not None:
            whole = torch.cat([shares(q[:, h : h + 1], k[:, h : h + 1], lse[:, h : h + 1],
                                      None if mask is None else _heads(mask, slice(h, h + 1)))
                               for h in range(q.shape[1])], 1)  # fmt: skip
            self._others()[block, :, :, :, places] = gram(self.rows, whole, kinds[:, : self.words], text, self.heads)

    def note_output(self, block: int, attn: Tensor) -> None:
        """attn [B, txt + image, C]: how much each image token's output is like each word's (ConceptAttention)."""
        # [B, heads, txt + image, C / heads]: one head of all channels where the heads are not kept apart
        txt, attn = len(self.member), attn[self.rows].float().unflatten(-1, (self.heads, -1)).transpose(1, 2)
        image = attn[:, :, txt : txt + self.image]
        for word in range(self.words):
            concept = attn[:, :, self.member[:, word].nonzero()[:, 0]].mean(2)
            found = (image @ concept[..., None])[..., 0] / attn.shape[-1] ** 0.5
            self._others()[block, :, :, word] = found.transpose(0, 1)

    def _others(self) -> Tensor:
        if self.other is None:
            self.other = torch.zeros_like(self.mass[:, :, :, : self.words])
        return self.other

    def result(self) -> tuple[Tensor, Tensor]:
        """(maps [blocks * heads, B, words, image] in half precision, groups [blocks * heads, B, kinds]), in memory."""
        maps = self.mass[:, :, :, : self.words] if self.other is None else self.other
        return maps.flatten(0, 1).to("cpu", torch.float16), self.mass.mean(4).flatten(0, 1).to("cpu", torch.float32)


def _image_of(q: Tensor, group, txt: int, image: int) -> tuple[Tensor, Tensor]:
    """(which queries are the picture's, and which of its tokens they are); reference images are not."""
    rows = torch.arange(q.shape[2], device=q.device) if group is None else group.rows
    queries = ((rows >= txt) & (rows < txt + image)).nonzero()[:, 0]
    return queries, rows[queries] - txt


def _part(mask: Tensor, batch: slice, queries: Tensor, columns: Tensor) -> Tensor:
    mask = mask if mask.shape[0] == 1 else mask[batch]
    mask = mask if mask.shape[2] == 1 else mask[:, :, queries]
    return mask[..., columns]


def _heads(mask: Tensor, heads: slice) -> Tensor:
    return mask if mask.shape[1] == 1 else mask[:, heads]
