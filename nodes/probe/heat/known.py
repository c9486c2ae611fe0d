"""What the forwards of a run find out about a prompt's text, kept while the text stays the same. Pure torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

MOST = 512  # kept findings; a plan of a run has far fewer groups of queries


class Known:
    """One prompt's rows [B, txt, C] of the last forward, and what follows from them.

    To compare the rows of a forward with them, a GPU waits once; to find the prompt in them, and to count indices, it
    waits many times.
    """

    def __init__(self):
        self.member: Tensor | None = None
        self._rows: Tensor | None = None
        self._kept: dict[Hashable, Any] = {}

    def holds(self, rows: Tensor) -> bool:
        """Whether these are the rows that `member` was learnt for."""
        own = self._rows
        if own is None or own.shape != rows.shape or own.dtype != rows.dtype or own.device != rows.device:
            return False
        return torch.equal(own, rows)

    def learn(self, rows: Tensor, member: Tensor | None) -> None:
        """`member` is what Wanted.within returned for the rows."""
        self._rows, self.member = rows, member
        self._kept.clear()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """`make()`, or what it returned before for an equal key and the same rows."""
        if key not in self._kept:
            if len(self._kept) >= MOST:
                self._kept.clear()
            self._kept[key] = make()
        return self._kept[key]
