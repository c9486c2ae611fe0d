"""Attention with several texts: which tokens attend to which, as groups of queries with a common bias. Pure torch.

In a forward the texts are concatenated. Each text attends to itself and to its part of the picture; image tokens attend
to each text as its mask says. A weight w on a column is a bias of log w (weight 2 acts as two copies of the row), so
masks may be soft. Queries with the same weights form one group with one row of bias, so no L x L mask is needed, and
columns of weight 0 are omitted instead of masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..condition.controls import Nag, PlacedText

SHARED = 64  # from this number on, tokens with equal weights form a group with one row of bias
CHUNK = 256  # the other tokens are grouped in chunks of this size, with one row of bias per token


@dataclass(frozen=True)
class TokenLayout:
    """The order of a forward's tokens: `txt` text rows, height * width image tokens, `references` tokens."""

    txt: int
    height: int
    width: int
    references: int = 0

    @property
    def image(self) -> int:
        return self.height * self.width

    @property
    def total(self) -> int:
        return self.txt + self.image + self.references


def owners(base: int, texts: Sequence[PlacedText]) -> Tensor:
    """[rows]: the number of the text that each row belongs to; 0 is the first text, with `base` rows."""
    lengths = torch.tensor([base, *(text.length for text in texts)])
    return torch.arange(len(lengths)).repeat_interleave(lengths)


def columns_of(base: int, texts: Sequence[PlacedText], number: int) -> Tensor:
    """The indices of the rows of the placed text texts[number]."""
    start = base + sum(text.length for text in texts[:number])
    return torch.arange(start, start + texts[number].length)


def append_texts(context: Tensor, texts: Sequence[PlacedText]) -> Tensor:
    """txt [B, L, C] with the rows of all placed texts appended."""
    return torch.cat([context, *(text.rows.to(context) for text in texts)], 1)


def weighted_columns(base: int, bias: Tensor | None, texts: Sequence[PlacedText], batch: int) -> Tensor | None:
    """[B, rows], the bias of all texts' columns from token weights; None if no token is weighted.

    `bias` is for the first text; it may be shorter, because rows that native nodes have appended have no weights.
    """
    if bias is None and all(text.bias is None for text in texts):
        return None
    own = torch.zeros(batch, base)
    if bias is not None:
        own[:, : bias.shape[1]] = bias.float().cpu()
    others = (torch.zeros(batch, text.length) if text.bias is None else text.bias.float().cpu() for text in texts)
    return torch.cat([own, *(each.expand(batch, -1) for each in others)], 1)


@dataclass(frozen=True, eq=False)
class QueryGroup:
    """Queries in one attention call: tokens `rows` [R] attend to tokens `columns` [C] (None: all).

    `row` [B, C] is a bias for all of them (None: zero). If their weights differ, `texts` [B, R, texts + 2] is the bias
    of each query for each text, and `owner` [C] is the text of each column.
    """

    rows: Tensor
    columns: Tensor | None
    row: Tensor | None = None
    texts: Tensor | None = None
    owner: Tensor | None = None

    def bias(self) -> Tensor | None:
        """[B, 1, 1 or R, C]; built when needed, because those of all groups together may be as large as L x L."""
        if self.texts is None:
            return None if self.row is None else self.row[:, None, None]
        bias = self.texts[:, None, :, self.owner]
        return bias if self.row is None else bias + self.row[:, None, None]

    def first(self, queries: int) -> QueryGroup:
        """The group limited to queries among the first `queries` tokens."""
        kept = (self.rows < queries).nonzero()[:, 0]
        if len(kept) == len(self.rows):
            return self
        return replace(self, rows=self.rows[kept], texts=None if self.texts is None else self.texts[:, kept])

    def on(self, like: Tensor) -> QueryGroup:
        """The group on the device of `like`, with its biases in the dtype of `like`."""
        index = {"device": like.device}
        number = {"device": like.device, "dtype": like.dtype}
        moved = [
            None if each is None else each.to(**how)
            for each, how in (
                (self.rows, index),
                (self.columns, index),
                (self.row, number),
                (self.texts, number),
                (self.owner, index),
            )
        ]
        return QueryGroup(*moved)


def cropped(mask: Tensor, size: tuple[int, int], area: Sequence[int]) -> Tensor:
    """The mask [B, h, w] of an area (h, w, y, x), from a mask of any size for the whole latent of `size` (H, W)."""
    height, width, top, left = area
    mask = mask if mask.ndim == 3 else mask[None]
    whole = interpolate(mask[:, None].float(), size, mode="area")[:, 0]
    return whole[:, top : top + height, left : left + width]


def on_tokens(mask: Tensor, height: int, width: int) -> Tensor:
    """A mask of any size [B, H, W] or [H, W] for the picture -> the mask's mean in each image token [B, h * w]."""
    mask = mask if mask.ndim == 3 else mask[None]
    shares = interpolate(mask[:, None].float(), (height, width), mode="area")
    return shares.flatten(1).clamp(0, 1)


def masks_of(texts: Sequence[PlacedText], layout: TokenLayout) -> list[Tensor | None]:
    """The mask of each placed text by image tokens [B, h * w], in main memory; None without a mask."""
    return [None if text.mask is None else on_tokens(text.mask.cpu(), layout.height, layout.width) for text in texts]


@dataclass(frozen=True, eq=False)
class Texts:
    """The placed texts of a prompt, for a batch of pictures of one size."""

    texts: Sequence[PlacedText]
    layout: TokenLayout
    batch: int

    @cached_property
    def owner(self) -> Tensor:
        """[txt]: see `owners`."""
        return owners(self.base, self.texts)

    @property
    def base(self) -> int:
        """The number of rows of the first text."""
        return self.layout.txt - sum(text.length for text in self.texts)

    @cached_property
    def masks(self) -> list[Tensor | None]:
        return masks_of(self.texts, self.layout)

    def shares(self, active: Sequence[bool]) -> Tensor:
        """The weights of each text for each image token [B, texts + 1, h * w]; index 0 is the first text.

        Where a text's mask is 1, the weights of all earlier texts are multiplied by its `ratio`.
        """
        weights = torch.zeros(self.batch, len(self.texts) + 1, self.layout.image)
        places = torch.zeros_like(weights)
        weights[:, 0] = places[:, 0] = 1.0
        for number, (text, mask, acts) in enumerate(zip(self.texts, self.masks, active, strict=True), 1):
            if not acts or isinstance(text, Nag):
                continue
            places[:, number] = places[:, text.inside] if mask is None else mask * places[:, text.inside]
            weights[:, :number] *= 1 - places[:, number, None] * (1 - text.ratio)
            weights[:, number] = places[:, number] * text.strength
        return weights

    def text_view(self) -> Tensor:
        """The weights of each image token for each text's rows [B, texts + 1, h * w]: a text attends to its area.

        If a mask is empty for one picture of a batch, the text attends to the whole of that picture, so that no row is
        without columns.
        """
        seen = torch.ones(self.batch, len(self.texts) + 1, self.layout.image)
        for number, mask in enumerate(self.masks, 1):
            if mask is not None:
                seen[:, number] = torch.where(mask.amax(1, keepdim=True) > 0, mask, 1.0)
        return seen

    def groups(self, active: Sequence[bool], bias: Tensor | None) -> list[QueryGroup]:
        """Groups in which each token is a query exactly once. `bias` is as `weighted_columns` returns it."""
        views = self.text_view()
        bias = torch.zeros(self.batch, self.layout.txt) if bias is None else bias[:, : self.layout.txt]
        weights = _weighting(self.shares(active), self.owner, self.layout.references)
        columns = _Columns(self.layout, self.owner, weights, views, bias)
        return [columns.group(rows, kind) for rows, kind in _alike(weights, _kinds(views, self.owner, self.layout))]


def _weighting(shares: Tensor, owner: Tensor, references: int) -> Tensor:
    """The weights of each text for each token [B, texts + 1, total].

    Text attends only to itself, image tokens by `shares`, reference images to the first text.
    """
    batch, count, _ = shares.shape
    own = torch.nn.functional.one_hot(owner, count).T.float()
    first = torch.zeros(count, references)
    first[0] = 1.0
    return torch.cat([own.expand(batch, -1, -1), shares, first.expand(batch, -1, -1)], 2)


def _kinds(views: Tensor, owner: Tensor, layout: TokenLayout) -> Tensor:
    """[total]: the number of the text whose view of the picture each token has; 0 is the whole picture."""
    plain = (views == 1).all(2).all(0)  # [texts + 1]
    numbers = torch.arange(len(plain)).masked_fill(plain, 0)
    return torch.cat([numbers[owner], torch.zeros(layout.total - layout.txt, dtype=torch.long)])


def _alike(weights: Tensor, kinds: Tensor) -> Iterator[tuple[Tensor, int]]:
    """(tokens, view): tokens with equal weights and view together, the others of each view in chunks."""
    keys = kinds
    for row in weights.flatten(0, 1):
        values, places = torch.unique(row, return_inverse=True)
        if len(values) > 1:
            keys = torch.unique(keys * len(values) + places, return_inverse=True)[1]
    order = keys.argsort(stable=True)
    rest: dict[int, list[Tensor]] = {}
    for rows in order.split(torch.bincount(keys).tolist()):
        kind = int(kinds[rows[0]])
        if len(rows) >= SHARED:
            yield rows, kind
        elif len(rows):
            rest.setdefault(kind, []).append(rows)
    for kind, few in rest.items():
        yield from ((chunk, kind) for chunk in torch.cat(few).split(CHUNK))


@dataclass(frozen=True, eq=False)
class _Columns:
    """Columns and biases for any set of queries.

    weights [B, texts + 1, total], views [B, texts + 1, image], bias [B, txt], owner [txt].
    """

    layout: TokenLayout
    owner: Tensor
    weights: Tensor
    views: Tensor
    bias: Tensor

    def group(self, rows: Tensor, kind: int) -> QueryGroup:
        weights = self.weights[:, :, rows]  # [B, texts + 1, R]
        alike = bool((weights == weights[:, :, :1]).all())
        owner, picture = self.owner, self.views[:, kind].log()
        text = (weights.amax((0, 2)) > 0)[owner] & ~torch.isneginf(self.bias).all(0)
        visible = ~torch.isneginf(picture).all(0)
        references = torch.zeros(len(self.bias), self.layout.references)
        added = self.bias + weights[:, :, 0].log()[:, owner] if alike else self.bias
        row = torch.cat([added[:, text], picture[:, visible], references], 1)
        row = row if row.any() else None
        kept = torch.cat([text, visible, torch.ones(self.layout.references, dtype=torch.bool)])
        columns = None if kept.all() else kept.nonzero()[:, 0]
        if alike:
            return QueryGroup(rows, columns, row)
        # The picture's columns count as one more text, with weight 1 for all queries.
        logs = torch.nn.functional.pad(weights.log().transpose(1, 2), (0, 1))
        owner = torch.nn.functional.pad(owner, (0, self.layout.total - self.layout.txt), value=logs.shape[2] - 1)
        return QueryGroup(rows, columns, row, logs, owner[kept])
