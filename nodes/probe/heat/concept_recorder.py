"""Watches the double blocks of one run and keeps a map for each concept. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...compat.flux_model import rotated, timestep_embedding
from ...compat.wrappers import CALC_COND_BATCH, DIFFUSION_MODEL, with_wrapper
from ...condition.blocks import Depth
from ...flux1_sizes import TIME_WIDTH
from ...keys import ATTN_INPUT, ATTN_OUTPUT, BLOCK_TYPE, OPTIONS, PATCHES
from ..entries import POSITIVE, UNKNOWN
from ..hooks import Given, around_forward
from ..repainted import Repainted
from .choices import CONCEPT
from .concept_stream import ConceptForward
from .flow import watching
from .reading import HeatReading
from .recorder import HeatRecorder, StepEvaluation
from .selection import Wanted

KEY = "flux_duet_concepts"
NAME = "Concept Heatmap"


@dataclass(frozen=True, eq=False)
class Concepts:
    """The words, and `rows` [N, 4096]: a row of T5's for each of them, then one for each background concept."""

    words: tuple[str, ...]
    rows: Tensor


class ConceptRecorder(HeatRecorder):
    """For one run. `blocks` are the double blocks whose maps are kept."""

    key, moment, title = KEY, f"{KEY}_moment", NAME

    def __init__(
        self, concepts: Concepts, blocks: Sequence[int], every: int, sigmas: Tensor, guider: Any,
        repainted: Repainted | None = None,
    ):  # fmt: skip
        wanted = Wanted(concepts.words, torch.zeros(0, 0, dtype=torch.bool))
        super().__init__(wanted, CONCEPT, every, sigmas, guider, repainted=repainted)
        self.concepts, self.blocks = concepts, tuple(blocks)

    def options(self, options: dict) -> dict:
        options = with_wrapper(options, CALC_COND_BATCH, self.key, self._evaluate)
        options = with_wrapper(options, DIFFUSION_MODEL, self.key, around_forward(self._forward))
        options = watching(options, Depth(max(self.blocks) + 1, 0), self._see)  # concepts change in all blocks before
        patches = options.get(PATCHES, {})
        ours = {ATTN_INPUT: self._input, ATTN_OUTPUT: self._output}
        added = {kind: [*patches.get(kind, ()), patch] for kind, patch in ours.items()}
        return {**options, PATCHES: {**patches, **added}}

    def _recorded(self) -> HeatReading:
        numbers, maps, groups, acts, repainted = self.steps.stacked()
        sigmas = tuple(self.levels[number] for number in numbers)
        return HeatReading(self.measure, self.wanted.words, maps, groups, sigmas, numbers, self.depth.double, self.size,
                           role=self.role, acts=acts, repainted=repainted, recorded=self.blocks)  # fmt: skip

    def _begun(self, moment: StepEvaluation, given: Given) -> ConceptForward | None:
        chunks = [each for each in self._chunks(moment, given, self.depth.double) if each.role in (POSITIVE, UNKNOWN)]
        return ConceptForward(chunks, self.concepts.rows, _vec(given), given.flux, given.context) if chunks else None

    def _current(self, options: dict) -> ConceptForward | None:
        """The forward of a double block up to the last one that is kept; None in all other cases."""
        is_ours = options.get(BLOCK_TYPE) == "double" and self.depth.number(options) <= self.blocks[-1]
        return options.get(self.key) if is_ours and self.guard.error is None else None

    def _see(self, block: int, args: dict) -> None:
        with self.guard:
            if (forward := self._current(args[OPTIONS])) is not None:
                forward.enter(block, args["txt"].shape[1])

    def _input(self, q, k, v, pe=None, attn_mask=None, extra_options=None) -> dict:
        with self.guard:
            if (forward := self._current(extra_options)) is not None:
                forward.attend(k, v, pe, rotated)
        return {}

    def _output(self, attn: Tensor, options: dict) -> Tensor:
        with self.guard:
            if (forward := self._current(options)) is not None:
                block = self.depth.number(options)
                forward.leave(block, attn, block in self.blocks)
        return attn


def _vec(given: Given) -> Tensor:
    """[B, C]: the forward's vec, with zeros in place of the CLIP vector."""
    flux, like = given.flux, given.context
    vec = flux.time_in(timestep_embedding(given.timestep, TIME_WIDTH).to(like.dtype))
    if flux.params.guidance_embed and given.guidance is not None:
        vec = vec + flux.guidance_in(timestep_embedding(given.guidance, TIME_WIDTH).to(like.dtype))
    return vec + flux.vector_in(like.new_zeros(len(like), flux.params.vec_in_dim))
