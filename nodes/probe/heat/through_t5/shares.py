"""How much of each row of T5's is due to each word. Pure torch.

T5 spreads what a word means over the rows of all tokens. Each word is left out in turn, and the prompt is encoded
again. Row i changes by d_iw when word w is left out, and the word's share of it is

    a_iw = d_iw^2 / (sum over all words u of d_iu^2)

so the shares of all words add up to 1 in each row that any word changes; a row that no word changes is no word's. In
the rows of the word itself, which are gone then, are pads, so T5 has as many rows as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

NOISE = 1e-3  # of a row's length: changes up to this are rounding


def aligned(again: Tensor, rows: Sequence[int]) -> Tensor:
    """`again` [L, C], encoded without the tokens `rows` and with pads after the rest, with each row at its old place.

    The last pads are put into `rows`.
    """
    kept = [row for row in range(len(again)) if row not in set(rows)]
    out = torch.empty_like(again)
    out[kept], out[list(rows)] = again[: len(kept)], again[len(kept) :]
    return out


def changes(rows: Tensor, again: Tensor) -> Tensor:
    """[L]: the length of each row's change, from `rows` [L, C] to `again`, relative to the row's length."""
    own = rows.float()
    return (own - again.float()).norm(dim=1) / own.norm(dim=1).clamp_min(1e-12)


def shares(changed: Tensor) -> Tensor:
    """Changes [L, words] -> each word's share of each row; see the top of this file."""
    squares = changed.double().square()
    total = squares.sum(1, keepdim=True)
    return torch.where(total > NOISE**2, squares / total.clamp_min(1e-24), 0.0).float()


def disjoint(words: Iterable[Iterable[int]]) -> list[list[int]]:
    """The rows of each word; words that share a row are one."""
    found: list[set[int]] = []
    for word in map(set, words):
        others = [each for each in found if each & word]
        found = [each for each in found if not each & word]
        found.append(word.union(*others))
    return sorted(sorted(each) for each in found if each)
