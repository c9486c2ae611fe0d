"""Several texts in one picture: which tokens look at which, as groups of queries that share a row of bias. Pure torch.

`txt` holds one text behind another. Each reads itself and its part of the picture; the picture looks at each as much as
its masks say. A weight w on a column is a bias of log w (facts: a row of weight 2 is the row twice), so masks may be
soft. Tokens that weigh all columns alike are one group with one row of bias: no L x L mask is ever made, and columns of
weight 0 are left out instead of masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..controls import Against, Text

SHARED = 64  # tokens that weigh the columns alike are a group of their own from this number on
CHUNK = 256  # tokens of as many weightings go together, each with its own row of bias


@dataclass(frozen=True, eq=False)
class Layout:
    """How the tokens of a forward stand: texts, then height * width image tokens, then those of reference images."""

    texts: tuple[int, ...]
    height: int
    width: int
    references: int = 0

    @property
    def txt(self) -> int:
        return sum(self.texts)

    @property
    def image(self) -> int:
        return self.height * self.width

    @property
    def total(self) -> int:
        return self.txt + self.image + self.references

    def owner(self) -> Tensor:
        """[txt]: to which text each row of `txt` belongs."""
        return torch.arange(len(self.texts)).repeat_interleave(torch.tensor(self.texts))


@dataclass(frozen=True, eq=False)
class Group:
    """Queries that are attended for together: tokens `rows` [R] look at tokens `columns` [C], None for all of them.

    `bias` [B, 1, 1 or R, C] is added to their logits; None where all of it is zero.
    """

    rows: Tensor
    columns: Tensor | None
    bias: Tensor | None


def on_tokens(mask: Tensor, height: int, width: int) -> Tensor:
    """A mask of any size [B, H, W], or [H, W], over the picture -> the share of each image token in it [B, h * w]."""
    mask = mask if mask.ndim == 3 else mask[None]
    shares = interpolate(mask[:, None].float(), (height, width), mode="area")
    return shares.flatten(1).clamp(0, 1)


def shares(texts: Sequence[Text], active: Sequence[bool], layout: Layout, batch: int) -> Tensor:
    """How much each image token weighs each text [B, texts + 1, h * w]; the first is the text that all lie over.

    Where a text lies, `ratio` is left of all before it, as far as its mask covers them.
    """
    weights = torch.zeros(batch, len(texts) + 1, layout.image)
    places = torch.zeros_like(weights)
    weights[:, 0] = places[:, 0] = 1.0
    for number, (text, acts) in enumerate(zip(texts, active, strict=True), 1):
        if not acts or isinstance(text, Against):
            continue
        mask = 1.0 if text.mask is None else on_tokens(text.mask, layout.height, layout.width)
        places[:, number] = mask * places[:, text.inside]
        weights[:, :number] *= 1 - places[:, number, None] * (1 - text.ratio)
        weights[:, number] = places[:, number] * text.strength
    return weights


def weighting(texts: Sequence[Text], active: Sequence[bool], layout: Layout, batch: int) -> Tensor:
    """How much each token weighs each text [B, texts + 1, total]: text only itself, reference images the first text."""
    own = torch.nn.functional.one_hot(layout.owner(), len(texts) + 1).T.float()
    first = torch.zeros(len(texts) + 1, layout.references)
    first[0] = 1.0
    seen = shares(texts, active, layout, batch)
    return torch.cat([own.expand(batch, -1, -1), seen, first.expand(batch, -1, -1)], 2)


def gaze(texts: Sequence[Text], layout: Layout, batch: int) -> Tensor:
    """How much the rows of each text weigh each image token [B, texts + 1, h * w]: a text reads its part of them.

    A mask that is empty for one picture of a batch leaves that picture whole to it, so that no row is without columns.
    """
    seen = torch.ones(batch, len(texts) + 1, layout.image)
    for number, text in enumerate(texts, 1):
        if text.mask is not None and not isinstance(text, Against):
            mask = on_tokens(text.mask, layout.height, layout.width)
            seen[:, number] = torch.where(mask.amax(1, keepdim=True) > 0, mask, 1.0)
    return seen


def groups(
    texts: Sequence[Text], active: Sequence[bool], bias: Tensor | None, layout: Layout, batch: int
) -> list[Group]:
    """Every token in exactly one group. `bias` [B, txt] is that of the text's columns, for all who look at them."""
    weights = weighting(texts, active, layout, batch)
    views = gaze(texts, layout, batch)
    kinds = _kinds(views, layout)
    bias = torch.zeros(batch, layout.txt) if bias is None else bias[:, : layout.txt].float().cpu()
    columns = _Columns(layout, weights, views, bias)
    return [columns.group(rows, kind) for rows, kind in _alike(weights, kinds)]


def _kinds(views: Tensor, layout: Layout) -> Tensor:
    """[total]: whose view of the picture each token has; 0 is the whole picture, as the first text and the image."""
    plain = (views == 1).all(2).all(0)  # [texts + 1]
    numbers = torch.arange(len(plain)).masked_fill(plain, 0)
    return torch.cat([numbers[layout.owner()], torch.zeros(layout.total - layout.txt, dtype=torch.long)])


def _alike(weights: Tensor, kinds: Tensor) -> Iterator[tuple[Tensor, int]]:
    """(tokens, whose view they have): those of equal weights together, the rest of a view in chunks."""
    keys = kinds
    for row in weights.flatten(0, 1):
        values, places = torch.unique(row, return_inverse=True)
        if len(values) > 1:
            keys = torch.unique(keys * len(values) + places, return_inverse=True)[1]
    order = keys.argsort(stable=True)
    counts = torch.bincount(keys).tolist()
    rest: dict[int, list[Tensor]] = {}
    for rows in order.split(counts):
        kind = int(kinds[rows[0]])
        if len(rows) >= SHARED:
            yield rows, kind
        else:
            rest.setdefault(kind, []).append(rows)
    for kind, few in rest.items():
        yield from ((chunk, kind) for chunk in torch.cat(few).split(CHUNK))


@dataclass(frozen=True, eq=False)
class _Columns:
    """What any set of tokens sees: weights [B, texts + 1, total], views [B, texts + 1, image], bias [B, txt]."""

    layout: Layout
    weights: Tensor
    views: Tensor
    bias: Tensor

    def group(self, rows: Tensor, kind: int) -> Group:
        weights = self.weights[:, :, rows]  # [B, texts + 1, R]
        if bool((weights == weights[:, :, :1]).all()):
            weights = weights[:, :, :1]
        seen = weights.amax((0, 2)) > 0
        owner = self.layout.owner()
        text = seen[owner] & ~torch.isneginf(self.bias).all(0)
        logits = (self.bias[:, :, None] + weights.log()[:, owner])[:, text]  # [B, C of text, R]
        picture = self.views[:, kind].log()
        visible = ~torch.isneginf(picture).all(0)
        beside = torch.zeros(logits.shape[0], self.layout.references)
        image = torch.cat([picture[:, visible], beside], 1)[:, :, None].expand(-1, -1, logits.shape[2])
        added = torch.cat([logits, image], 1).transpose(1, 2)[:, None]  # [B, 1, R or 1, C]
        kept = torch.cat([text, visible, torch.ones(self.layout.references, dtype=torch.bool)])
        return Group(rows, None if kept.all() else kept.nonzero()[:, 0], added if added.any() else None)
