"""The modes of Blend CLIP and Blend T5: a new one is a function and a row here. Pure torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import rows, vectors

OTHER, EMPTY = "other", "empty"


@dataclass(frozen=True)
class Mode:
    """`mix(own, other, empty, weight)`; `needs` are the inputs without which it makes no sense."""

    mix: Callable
    needs: tuple[str, ...]


VEC_MODES = {
    "lerp": Mode(lambda own, other, empty, weight: vectors.lerp(own, other, weight), (OTHER,)),
    "slerp": Mode(lambda own, other, empty, weight: vectors.slerp(own, other, weight), (OTHER,)),
    "add": Mode(lambda own, other, empty, weight: vectors.towards(own, other, empty, weight), (OTHER, EMPTY)),
    "subtract": Mode(lambda own, other, empty, weight: vectors.towards(own, empty, other, weight), (OTHER, EMPTY)),
    "strength": Mode(lambda own, other, empty, weight: vectors.strength(own, empty, weight), (EMPTY,)),
}
TXT_MODES = {
    "join": Mode(lambda own, other, empty, weight: rows.fade(own, other, weight), (OTHER,)),
    "both": Mode(lambda own, other, empty, weight: rows.both(own, other, weight), (OTHER,)),
    "lerp": Mode(lambda own, other, empty, weight: rows.lerp(own, other, weight), (OTHER,)),
    "add": Mode(lambda own, other, empty, weight: rows.towards(own, other, empty, weight), (OTHER, EMPTY)),
    "subtract": Mode(lambda own, other, empty, weight: rows.towards(own, empty, other, weight), (OTHER, EMPTY)),
}
