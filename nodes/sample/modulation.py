"""A vec that differs from block to block: a difference that is added before a block's modulation. Pure torch.

`vec = time_in(t) + guidance_in(g) + vector_in(clip)` is computed once for all blocks (BFL's flux/model.py). So another
CLIP vector for some blocks is a difference of two outputs of `vector_in`, added to the input of those blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from torch import Tensor

from ..condition.blocks import Depth
from ..condition.controls import VecDelta
from ..keys import REPLACE


class VecDeltas:
    """The differences of vec by block, for one forward. `vector_in` is the model's, `y` the forward's vec [B, 768]."""

    def __init__(self, controls: Sequence[VecDelta], y: Tensor, vector_in: Callable[[Tensor], Tensor], depth: Depth):
        self.depth, self.called = depth, False
        # What the differences depend on beside y: CLIP vectors, and how they are summed up.
        self.vecs = [control.vecs for control in controls]
        self.terms = tuple((each.weights, each.own, each.blocks) for each in controls)
        self.deltas: dict[int, Tensor] = {}
        for control in controls:
            delta = difference(control, y, vector_in)
            for block in control.blocks.within(*depth):
                self.deltas[block] = self.deltas[block] + delta if block in self.deltas else delta

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self.deltas

    def patched(self, options: dict) -> dict:
        """transformer_options in which blocks get their own vec; existing block replacements are still called."""
        replaced = options.get(REPLACE, {})
        blocks = {**replaced.get("dit", {}), **dict(self._patches(replaced.get("dit", {})))}
        return {**options, REPLACE: {**replaced, "dit": blocks}}

    def _patches(self, before: dict) -> Iterator[tuple[tuple[str, int], Callable]]:
        for block, delta in self.deltas.items():
            key = self.depth.key(block)
            yield key, partial(self._block, delta, before.get(key))

    def _block(self, delta: Tensor, before: Callable | None, args: dict, extra: dict) -> dict:
        self.called = True
        args = {**args, "vec": added(delta, args["vec"])}
        return before(args, extra) if before is not None else extra["original_block"](args)


def added(delta: Tensor, vec: Tensor) -> Tensor:
    """vec [B or 2 B, hidden] and a difference [B, hidden].

    Kontext's index_timestep_zero doubles vec's rows: first those for the picture, then those for its references.
    """
    return vec + delta.to(vec).repeat(vec.shape[0] // delta.shape[0], 1)


def difference(control: VecDelta, y: Tensor, vector_in: Callable[[Tensor], Tensor]) -> Tensor:
    """The difference of vec [B, hidden]: the sum of weight * vector_in(v), plus own * vector_in(y)."""
    pairs = zip(control.weights, control.vecs.unbind(1), strict=True)
    delta = sum(weight * vector_in(vec.to(y)) for weight, vec in pairs)
    return delta + control.own * vector_in(y) if control.own else delta
