"""ComfyUI's attention with a prompt's controls: token weights, placed texts, a negative. Pure torch.

It replaces ComfyUI's attention function in every block, and calls that function once for each group of queries.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TypeVar

import torch
from torch import Tensor

from ..condition.blocks import Depth
from ..condition.controls import Bias, Controls, Nag, PlacedText
from ..keys import OPTIONS
from .attention_groups import QueryGroup, Texts, TokenLayout, columns_of, masks_of, weighted_columns
from .attention_plans import Plans

T = TypeVar("T")

# In transformer_options, for probes of the attention (probe/heat). GROUP: the QueryGroup of an attention call with a
# part of the tokens. CONTEXT: txt [B, txt, C] of a forward with placed texts appended.
GROUP, CONTEXT = "flux_duet_group", "flux_duet_context"


class DuetAttention:
    """An attention override for one forward.

    `layout` is the order of its tokens: text first, in double and in single blocks (comfy/ldm/flux/layers.py). `inner`
    is another pack's attention override, which is called instead of ComfyUI's attention. `plans` are the run's.
    """

    def __init__(self, controls: Controls, layout: TokenLayout, depth: Depth, inner=None, plans: Plans | None = None):
        self.texts: Sequence[PlacedText] = [each for each in controls if isinstance(each, PlacedText)]
        self.base = layout.txt - sum(text.length for text in self.texts)
        self.columns = next((each.columns for each in controls if isinstance(each, Bias)), None)
        self.blocks = [text.blocks.within(*depth) for text in self.texts]
        self.layout, self.depth, self.inner, self.called = layout, depth, inner, False
        self.plans = Plans() if plans is None else plans

    @cached_property
    def bias(self) -> Tensor | None:
        """[B, txt]: the bias of the texts' columns from token weights; None without weights."""
        given = (self.columns, *(text.rows for text in self.texts))
        batch = max((len(each) for each in given if each is not None), default=1)
        return weighted_columns(self.base, self.columns, self.texts, batch)

    @cached_property
    def case(self) -> Hashable:
        """What plans depend on besides q, k and the active texts. Masks and weights count by value: ComfyUI copies them
        for each forward. They are in main memory, so that no GPU waits."""
        values = (*masks_of(self.texts, self.layout), self.bias)
        copies = tuple(None if each is None else each.numpy().tobytes() for each in values)
        settings = ((isinstance(text, Nag), tuple(text.rows.shape), text.inside, text.ratio, text.strength)
                    for text in self.texts)  # fmt: skip
        return self.layout, tuple(settings), copies

    @property
    def is_weighted(self) -> bool:
        return self.columns is not None or any(text.bias is not None for text in self.texts)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self.is_weighted and not self.texts

    def __call__(self, attention, q, k, v, *args, mask=None, **kwargs):
        self.called = True
        attend = partial(self.inner, attention) if self.inner is not None else attention
        if not self.texts:
            row = self._row_for(k)
            return attend(q, k, v, *args, mask=row if mask is None else with_heads(mask, q.dtype) + row, **kwargs)
        active = self._active(kwargs[OPTIONS])
        out = None
        for group in self._plan(active, q, k):
            part = _attended(attend, group, q, k, v, args, mask, kwargs)
            if out is None:
                out = part.new_empty(part.shape[0], q.shape[2], part.shape[2])
            out[:, group.rows] = part
        for number, (text, acts) in enumerate(zip(self.texts, active, strict=True)):
            if acts and isinstance(text, Nag):
                image = slice(self.layout.txt, None)
                negative = _attended(attend, self._negative(number, q, k), q, k, v, args, mask, kwargs, seen=False)
                out[:, image] = steered(out[:, image], negative, text)
        return out

    def _active(self, options: dict) -> tuple[bool, ...]:
        block = self.depth.number(options)
        return tuple(block in blocks for blocks in self.blocks)

    def _kept(self, name: str, q: Tensor, k: Tensor, case, make: Callable[[], T]) -> T:
        key = name, case, self.case, q.shape[2], k.shape[0], k.shape[2], k.device, k.dtype
        return self.plans.get(key, make)

    def _plan(self, active: tuple[bool, ...], q: Tensor, k: Tensor) -> list[QueryGroup]:
        # There may be fewer queries than keys: FluxKVCache caches the keys of reference images and omits their queries.
        def make() -> list[QueryGroup]:
            # All tokens that other nodes append to the image tokens count as reference images.
            layout = replace(self.layout, references=k.shape[2] - self.layout.txt - self.layout.image)
            groups = Texts(self.texts, layout, k.shape[0]).groups(active, self.bias)
            if q.shape[2] < layout.total:
                groups = [group.first(q.shape[2]) for group in groups]
            return [group.on(k) for group in groups if len(group.rows)]

        return self._kept("groups", q, k, active, make)

    def _negative(self, number: int, q: Tensor, k: Tensor) -> QueryGroup:
        """All image tokens, attending only to image tokens and to the negative text texts[number]."""

        def make() -> QueryGroup:
            own = columns_of(self.base, self.texts, number)
            columns = torch.cat([own, torch.arange(self.layout.txt, k.shape[2])])
            row = self._row_for(k)[:, 0, 0][:, columns.to(k.device)] if self.is_weighted else None
            return QueryGroup(torch.arange(self.layout.txt, q.shape[2]), columns, row).on(k)

        return self._kept("negative", q, k, number, make)

    def _row_for(self, k: Tensor) -> Tensor:
        """[B, 1, 1, columns]: the bias of all columns."""

        def make() -> Tensor:
            bias = self.bias.to(device=k.device, dtype=k.dtype)
            return torch.nn.functional.pad(bias, (0, k.shape[2] - bias.shape[1]))[:, None, None]

        return self._kept("row", k, k, None, make)


def _attended(attend, group: QueryGroup, q, k, v, args, mask: Tensor | None, kwargs: dict, seen: bool = True) -> Tensor:
    """The attention's output for one group. `seen` is False for a negative, which probes must not count."""
    options = {**kwargs[OPTIONS], GROUP: group if seen else None}
    kwargs, bias = {**kwargs, OPTIONS: options}, group.bias()
    if mask is not None:
        mask = _cut(with_heads(mask, q.dtype), group)
        bias = mask if bias is None else mask + bias
    if group.columns is not None:
        k, v = k[:, :, group.columns], v[:, :, group.columns]
    return attend(q[:, :, group.rows], k, v, *args, mask=bias, **kwargs)


def _cut(mask: Tensor, group: QueryGroup) -> Tensor:
    """The mask's rows and columns for this group; dimensions of size 1 are broadcast."""
    if mask.shape[-2] > 1:
        mask = mask[..., group.rows, :]
    return mask if group.columns is None or mask.shape[-1] == 1 else mask[..., group.columns]


def steered(z: Tensor, negative: Tensor, text: Nag) -> Tensor:
    """Normalised attention guidance (NAG), arXiv 2505.21179, eq. 7-10, for attention outputs [B, N, C].

    z~ = s z - (s - 1) z-, with its L1 norm limited to tau times that of z, then blended with z by alpha.
    """
    guided = z * text.scale - negative * (text.scale - 1.0)
    norm = z.norm(p=1, dim=-1, keepdim=True).clamp_min(1e-6)
    ratio = guided.norm(p=1, dim=-1, keepdim=True).clamp_min(1e-6) / norm
    guided = guided * (ratio.clamp_max(text.tau) / ratio)
    return guided * text.alpha + z * (1.0 - text.alpha)


def with_heads(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Any mask that ComfyUI's attention accepts, as a bias [B or 1, heads or 1, queries, columns] on the logits."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, -torch.inf)
    return mask if mask.ndim == 4 else mask.unsqueeze(1) if mask.ndim == 3 else mask[None, None]
