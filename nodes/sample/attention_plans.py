"""What a run computes once and keeps from step to step: groups of queries, biases, texts on the device. Pure torch.

A plan is made in main memory from the masks' values and then moved to the device. Made anew for every forward, two soft
masks on 4,096 image tokens would cost as much as a block, and a GPU would wait. Most steps of a run have equal texts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import RLock
from typing import Any, TypeVar

T = TypeVar("T")

MOST = 32  # plans; of a run that needs more, the ones used last are kept


@dataclass(frozen=True, eq=False)
class Same:
    """A part of a key: equal to another for the same object alone, whose values are not compared."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class Plans:
    """The plans of one run, by what they depend on. Forwards on several GPUs share it."""

    def __init__(self):
        self._kept: dict[Hashable, Any] = {}
        self._lock = RLock()  # a plan may be made from another one

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """`make()`, or what it returned before for an equal key."""
        with self._lock:
            plan = self._kept.pop(key) if key in self._kept else make()
            self._kept[key] = plan  # moves it to the end
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
        return plan
