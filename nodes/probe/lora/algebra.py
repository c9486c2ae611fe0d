"""Norms, inner products and effective ranks of changes of weights, from their factors where they have some. Pure.

A low-rank change s U V has |s U V|^2 = s^2 sum((U^T U) * (V V^T)), of rank x rank matrices. A Kronecker product has
|A (x) B| = |A| |B|. The effective rank is the participation ratio of the squared singular values,
(sum s_i^2)^2 / sum s_i^4: the number of directions of equal strength that would be as spread out. It is 1 for a change
in one direction, and at most the rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True)
class LowRank:
    """scale * up [rows, r] @ down [r, columns], added to the weight's rows from `first` on."""

    up: Tensor
    down: Tensor
    scale: float
    first: int = 0


@dataclass(frozen=True)
class Kronecker:
    """scale * kron(a, b), of factors that have at most these ranks."""

    a: Tensor
    b: Tensor
    scale: float
    ranks: tuple[int, int]


Change: TypeAlias = Sequence[LowRank] | Kronecker | Tensor  # a sum of low-rank terms, or one of the others


def inner(one: Change, other: Change, shape: Sequence[int]) -> float:
    """Frobenius inner product of two changes of a weight of this shape."""
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return sum(_overlap(a, b) for a in one for b in other)
    if isinstance(one, Kronecker) and isinstance(other, Kronecker) and one.a.shape == other.a.shape:
        return one.scale * other.scale * _dot(one.a, other.a) * _dot(one.b, other.b)
    return _dot(dense(one, shape), dense(other, shape))


def norm(change: Change, shape: Sequence[int]) -> float:
    """Frobenius norm."""
    square = inner(change, change, shape)
    return 0.0 if square < 0 else square**0.5  # not a number stays one


def effective_rank(change: Change) -> tuple[float, int] | None:
    """(effective rank, rank of the factors); None for a dense change, and for one of zeros."""
    if isinstance(change, Kronecker):
        a, b = (_participation(_small_gram(side)) for side in (change.a, change.b))
        return None if a is None or b is None else (a * b, change.ranks[0] * change.ranks[1])
    if isinstance(change, Tensor):
        return None
    up, down = _stacked(change)
    found = _participation_of_product(up, down)
    return None if found is None else (found, min(up.shape[0], up.shape[1], down.shape[1]))


def dense(change: Change, shape: Sequence[int]) -> Tensor:
    """The change as a matrix of this shape."""
    if isinstance(change, Tensor):
        return change
    if isinstance(change, Kronecker):
        return (change.scale * torch.kron(change.a, change.b)).reshape(*shape)
    whole = torch.zeros(shape[0], change[0].down.shape[1])  # a control LoRA's is wider than the weight
    for each in change:
        whole[each.first : each.first + each.up.shape[0]] += each.scale * (each.up @ each.down)
    return whole


def _dot(one: Tensor, other: Tensor) -> float:
    """The inner product; of the part that both have, if one is wider."""
    other = other.to(one.device)  # a dense change may be on the GPU
    if one.shape != other.shape:
        common = tuple(slice(0, min(sides)) for sides in zip(one.shape, other.shape, strict=True))
        one, other = one[common], other[common]
    return float(torch.dot(one.flatten(), other.flatten()))


def _overlap(one: LowRank, other: LowRank) -> float:
    """The inner product, on the rows that both change."""
    first = max(one.first, other.first)
    last = min(each.first + each.up.shape[0] for each in (one, other))
    if first >= last:
        return 0.0
    ups = [each.up[first - each.first : last - each.first] for each in (one, other)]
    columns = min(one.down.shape[1], other.down.shape[1])
    downs = one.down[:, :columns] @ other.down[:, :columns].T
    return one.scale * other.scale * float((ups[0].T @ ups[1]).mul_(downs).sum())


def _stacked(terms: Sequence[LowRank]) -> tuple[Tensor, Tensor]:
    """The sum of terms as one product up @ down; terms for other rows have other columns of `up`."""
    if len(terms) == 1:
        return terms[0].up, terms[0].down
    rows = max(each.first + each.up.shape[0] for each in terms)
    up = torch.zeros(rows, sum(each.up.shape[1] for each in terms))
    column = 0
    for each in terms:
        count, rank = each.up.shape
        up[each.first : each.first + count, column : column + rank] = each.scale * each.up
        column += rank
    return up, torch.cat([each.down for each in terms])


def _small_gram(matrix: Tensor) -> Tensor:
    """M M^T or M^T M, the smaller one; both have M's squared singular values."""
    return matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix


def _participation_of_product(up: Tensor, down: Tensor) -> float | None:
    # The eigenvalues of (U^T U)(V V^T) are the squared singular values of U V; so are those of the smaller gram.
    if up.shape[1] >= min(up.shape[0], down.shape[1]):
        return _participation(_small_gram(up @ down))
    return _participation((up.T @ up) @ (down @ down.T))


def _participation(gram: Tensor) -> float | None:
    """(sum of eigenvalues)^2 / sum of squared eigenvalues, which are traces of the matrix and of its square."""
    once, twice = float(gram.trace()), float((gram * gram.T).sum())
    return once**2 / twice if once > 0 and twice > 0 else None
