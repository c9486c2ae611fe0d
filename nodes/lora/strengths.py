"""The strength of each part and block of a LoRA. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..condition.blocks import ALL, Blocks, Depth
from .parts import Place


@dataclass(frozen=True)
class Strengths:
    """`overall` times the part's own strength (1 for a part that is not named), and 0 in blocks that are not listed.

    What belongs to no block (the encoders, img_in, txt_in, vector_in, the last layer) does not depend on the list.
    """

    parts: Mapping[str, float] = field(default_factory=dict)
    blocks: Blocks = ALL
    overall: float = 1.0

    def of(self, place: Place, depth: Depth) -> float:
        """The strength at a place of a model of this depth. Raises ValueError if the list names a block too many."""
        if place.block is not None and place.block not in self.blocks.within(depth.double, depth.single):
            return 0.0
        return self.overall * self.parts.get(place.part, 1.0)
