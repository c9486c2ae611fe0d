"""The watched words, and the rows of a forward's txt that belong to them. Pure torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..entries import located
from .reading import ALL, ELSEWHERE, GROUPS


@dataclass(frozen=True, eq=False)
class Wanted:
    """The words, and `member` [rows, words + GROUPS]: the words and the group that each row of txt belongs to.

    It is bool; for the measure through T5 it is float, each word's share of each row. A row may belong to several words
    ("red", "red circle"). The first `real` rows are tokens and the rest pads; None if there are no pads. `texts`, each
    [rows, C], are the different encodings of the prompt.
    """

    words: tuple[str, ...]
    member: Tensor
    real: int | None = None
    texts: tuple[Tensor, ...] = ()

    def rows(self, word: int) -> Tensor:
        return self.member[:, word].nonzero()[:, 0]

    def of(self, rows: int, at: int = 0, pads: int | None = None) -> Tensor:
        """`member` as float for a forward's txt of `rows` rows; rows outside of the prompt belong to other texts.

        The tokens begin at row `at`, the pads at row `pads`, None if the pads follow the tokens directly.
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
        """`of` a forward's txt `context` [L, C]; None if it does not contain the prompt.

        Searches for all of the prompt's rows, then for its tokens without the pads, as a blend has them.
        """
        for text in self.texts:
            own = text.to(context)
            if (at := located(context, own)) is not None:
                return self.of(len(context), at).to(context.device)
            real = own[: self.real]
            if (at := located(context, real)) is not None:
                pads = located(context, own[self.real :]) if self.real is not None else None
                # Without the prompt's own pads, none are attributed to it.
                return self.of(len(context), at, len(context) if pads is None else pads).to(context.device)
        return None
