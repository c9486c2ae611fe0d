"""A vec that differs from block to block: what is added to it, before a block's own modulation. Pure torch.

`vec = time_in(t) + guidance_in(g) + vector_in(clip)` is made once for all blocks (BFL's flux/model.py), so another CLIP
vector for some blocks is a difference of two `vector_in`, added where those blocks take it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from torch import Tensor

from ..condition.blocks import Depth
from ..condition.controls import VecDelta
from ..keys import REPLACE


class VecDeltas:
    """For one forward. `vector_in` is the model's, `y` the CLIP vector that the forward was given [B, 768]."""

    def __init__(self, shifts: Sequence[VecDelta], y: Tensor, vector_in: Callable[[Tensor], Tensor], depth: Depth):
        self.depth, self.called = depth, False
        self.deltas: dict[int, Tensor] = {}
        for shift in shifts:
            delta = difference(shift, y, vector_in)
            for block in shift.blocks.within(*depth):
                self.deltas[block] = self.deltas[block] + delta if block in self.deltas else delta

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self.deltas

    def patched(self, options: dict) -> dict:
        """ComfyUI's transformer_options, in which the blocks get their own vec; what stood there before still runs."""
        replaced = options.get(REPLACE, {})
        blocks = {**replaced.get("dit", {}), **dict(self._patches(replaced.get("dit", {})))}
        return {**options, REPLACE: {**replaced, "dit": blocks}}

    def _patches(self, before: dict) -> Iterator[tuple[tuple[str, int], Callable]]:
        for block, delta in self.deltas.items():
            key = self.depth.key(block)
            yield key, partial(self._block, delta, before.get(key))

    def _block(self, delta: Tensor, before: Callable | None, args: dict, extra: dict) -> dict:
        self.called = True
        vec = args["vec"]
        # Kontext's timestep zero doubles vec's rows: the picture's first, then its references'.
        args = {**args, "vec": vec + delta.to(vec).repeat(vec.shape[0] // delta.shape[0], 1)}
        return before(args, extra) if before is not None else extra["original_block"](args)


def difference(shift: VecDelta, y: Tensor, vector_in: Callable[[Tensor], Tensor]) -> Tensor:
    """What a shift adds to vec after the MLP [B, hidden]: the sum of weight * vector_in(v), and of the prompt's own."""
    delta = sum(weight * vector_in(vec.to(y)) for weight, vec in zip(shift.weights, shift.vecs.unbind(1), strict=True))
    return delta + shift.own * vector_in(y) if shift.own else delta
