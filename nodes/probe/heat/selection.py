"""The words that are watched, and which rows of a forward's text are theirs. Pure torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..entries import located
from .reading import ALL, ELSEWHERE, GROUPS


@dataclass(frozen=True, eq=False)
class Wanted:
    """The words and, for each row of `txt`, whether it is a word's, and of which of GROUPS [rows, words + GROUPS].

    A row may be of several words: of "red", and of "red circle". The first `real` rows stand for tokens, the rest are
    pads; None if all do. `texts` [B, rows, C] are the rows themselves, one for each encoding of the prompt.
    """

    words: tuple[str, ...]
    member: Tensor
    real: int | None = None
    texts: tuple[Tensor, ...] = ()

    def rows(self, word: int) -> Tensor:
        return self.member[:, word].nonzero()[:, 0]

    def of(self, rows: int, at: int = 0, pads: int | None = None) -> Tensor:
        """The same for all of a forward's rows, as numbers: those beyond the prompt's belong to other texts.

        The tokens' rows begin at `at`, the pads' at `pads`; None where the pads are right behind.
        """
        real = len(self.member) if self.real is None else self.real
        member = torch.zeros(rows, self.member.shape[1])
        member[:, len(self.words) + GROUPS.index(ELSEWHERE)] = 1
        for start, known in ((at, self.member[:real]), (at + real if pads is None else pads, self.member[real:])):
            known = known[: max(rows - start, 0)].float()
            member[start : start + len(known)] = known
        member[:, len(self.words) + GROUPS.index(ALL)] = 1
        return member

    def within(self, context: Tensor) -> Tensor | None:
        """`of` a forward's rows [L, C], wherever in them this prompt stands: all of it, else its tokens alone, as a mix
        has them. None where they do not hold it.
        """
        for text in self.texts:
            own = text.to(context)
            if (at := located(context, own)) is not None:
                return self.of(len(context), at).to(context.device)
            real = own[: self.real]
            if (at := located(context, real)) is not None:
                pads = located(context, own[self.real :]) if self.real is not None else None
                # Pads of another text are not this prompt's.
                return self.of(len(context), at, len(context) if pads is None else pads).to(context.device)
        return None
