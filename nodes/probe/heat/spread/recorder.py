"""Records how alike the places of a picture are, beside the recorder of a measure. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ....compat import guiders
from ....compat.flux_model import transformer_of
from ....compat.wrappers import CALC_COND_BATCH, with_wrapper
from ....condition.blocks import Depth
from ....condition.timepoints import step_at
from ....flux1_sizes import DOUBLE
from ....keys import (
    AREA,
    ATTN_OUTPUT,
    BLOCK_INDEX,
    BLOCK_TYPE,
    COND_OR_UNCOND,
    IMAGE_ROWS,
    OPTIONS,
    PATCHES,
    UUID,
    UUIDS,
)
from ...entries import POSITIVE, UNKNOWN, Place, roles
from ...hooks import AGAIN, Guard
from ..reading import HeatReading
from ..token_grid import Grid
from .spreading import Likeness

KEY = "flux_duet_likeness"
PUBLISHED = range(14, 18)  # of FLUX.1's double blocks, those of ConceptAttention


class HeatRecorder(Protocol):
    """The recorder of a measure."""

    def options(self, options: dict) -> dict: ...

    def reading(self) -> HeatReading: ...


def blocks_of(double: int) -> Sequence[int]:
    """The double blocks that are recorded: those published for FLUX.1, the second half of another model's."""
    return PUBLISHED if double == DOUBLE else range(double // 2, double)


class WithLikeness:
    """For one run: `recorder`, and beside it the likeness of the places at every `every`-th step.

    The positive prompt's forwards count, if it acts in the whole picture: of a prompt with an area there is none.
    """

    def __init__(self, recorder: HeatRecorder, every: int, sigmas: Tensor, guider: Any):
        flux = transformer_of(guiders.model_of(guider))
        self.recorder, self.every, self.guider = recorder, every, guider
        self.levels, self.blocks, self.patch = sigmas.tolist(), blocks_of(Depth.of(flux).double), flux.patch_size
        self.guard = Guard(KEY, logs=False)
        self.totals: dict[torch.device, tuple[Tensor, int]] = {}  # several devices may evaluate at once

    def options(self, options: dict) -> dict:
        options = with_wrapper(self.recorder.options(options), CALC_COND_BATCH, KEY, self._evaluate)
        patches = options.get(PATCHES, {})
        return {**options, PATCHES: {**patches, ATTN_OUTPUT: [*patches.get(ATTN_OUTPUT, ()), self._output]}}

    def reading(self) -> HeatReading:
        reading = self.recorder.reading()
        if self.guard.error is not None:
            raise self.guard.error
        totals = [(total.cpu(), count) for total, count in self.totals.values()]
        self.totals.clear()
        if not totals:
            return reading
        return replace(reading, likeness=Likeness.of(sum(each for each, _ in totals) / sum(n for _, n in totals)))

    def _evaluate(self, executor, model, conds, x, timestep, options):
        given, seen = options.get(OPTIONS, {}), None
        with self.guard:
            if step_at(self.levels, float(timestep[0])) % self.every == 0 and not given.get(AGAIN):
                names = roles(conds, guiders.conds_of(self.guider))
                chosen = {(index, entry[UUID]) for index, cond in enumerate(conds) for entry in cond or ()
                          if names[index] in (POSITIVE, UNKNOWN) and AREA not in entry}  # fmt: skip
                seen = chosen, Grid(x.shape[-2:], self.patch, Place()).tokens
        return executor(model, conds, x, timestep, {**options, OPTIONS: {**given, KEY: seen}})

    def _output(self, attn: Tensor, options: dict) -> Tensor:
        seen = options.get(KEY)
        is_ours = seen and options[BLOCK_TYPE] == "double" and options[BLOCK_INDEX] in self.blocks
        if is_ours and self.guard.error is None:
            with self.guard:
                self._add(attn, options, *seen)
        return attn

    def _add(self, attn: Tensor, options: dict, chosen: set[tuple[int, Any]], tokens: int) -> None:
        """`attn` [B, txt + image, C] is a block's attention output, with the prompts of a forward one after another."""
        ids = list(zip(options[COND_OR_UNCOND], options[UUIDS], strict=True))
        first = options[IMAGE_ROWS][0]
        for rows, which in zip(attn[:, first : first + tokens].chunk(len(ids)), ids, strict=True):
            if which in chosen:
                rows = normalize(rows.float(), dim=-1)
                if attn.device not in self.totals:
                    self.totals[attn.device] = rows.new_zeros(len(rows), tokens, tokens), 0
                total, count = self.totals[attn.device]
                self.totals[attn.device] = total.baddbmm_(rows, rows.mT), count + 1
