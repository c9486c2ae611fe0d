"""Watches the attention of one run and keeps a map for each word. Imports ComfyUI.

It overrides ComfyUI's attention function as the innermost override: a prompt's own controls (weights, regions) run
first and pass on which tokens a call is about. The prompt itself is identified by the text rows that the attention
sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Any, Protocol

import torch
from torch import Tensor

from ...compat import guiders
from ...compat.flux_model import transformer_of
from ...compat.wrappers import CALC_COND_BATCH, DIFFUSION_MODEL, with_wrapper
from ...condition.blocks import Depth
from ...condition.timepoints import step_at
from ...keys import AREA, ATTN_OUTPUT, COND_OR_UNCOND, OPTIONS, OVERRIDE, PATCHES, SIGMAS, UUID, UUIDS
from ...sample.attention import CONTEXT, GROUP
from ..entries import UNKNOWN, Entry, Place, rank, roles
from ..entry_weights import places
from ..hooks import AGAIN, Given, Guard, around_forward
from ..repainted import Repainted, places_of
from .accumulate import Chunk, Forward, Means, Result
from .choices import FLOW, OUTPUT
from .flow import Flow, watching
from .known import Known
from .lse import Attention, lse_of
from .reading import HeatReading
from .selection import Wanted
from .token_grid import Grid

KEY = "flux_duet_heatmap"
MOMENT = "flux_duet_heatmap_moment"  # in transformer_options: the StepEvaluation that a forward belongs to
NAME = "Token Heatmap"


class Watched(Protocol):
    """The state of one forward; `seen` is whether an attention was, `chunks` then have results."""

    seen: bool
    chunks: list[Chunk]


class StepEvaluation:
    """One evaluation of all prompts, at `step`, on x [B, C, h, w] at `sigma`, with the results of its forwards.

    `who(index, uuid)` returns the role and place of the entry with this id in the prompt with this index.
    """

    def __init__(self, step: int, sigma: float, x: Tensor, who: Callable[[int, Any], tuple[str, Place]]):
        self.step, self.sigma, self.x, self.who = step, sigma, x, who
        self.results: list[Result] = []

    def repeats(self, other: StepEvaluation) -> bool:
        """Whether both are on the same x: some nodes evaluate again for themselves (Skip Layer Guidance)."""
        return self.sigma == other.sigma and (self.x is other.x or torch.equal(self.x, other.x))


class HeatRecorder:
    """For one run. Watches every `every`-th step; with `apart` it keeps the maps of each head, not their mean."""

    key, moment, title = KEY, MOMENT, NAME

    def __init__(
        self, wanted: Wanted, measure: str, every: int, sigmas: Tensor, guider: Any, apart: bool = False,
        repainted: Repainted | None = None,
    ):  # fmt: skip
        flux = transformer_of(guiders.model_of(guider))
        self.wanted, self.measure, self.every, self.guider = wanted, measure, every, guider
        self.heads = flux.params.num_heads if apart else 1
        self.levels = sigmas.tolist()
        self.depth, self.patch = Depth.of(flux), flux.patch_size
        self.attention, self.guard = Attention(), Guard(self.title, logs=False)
        self.steps = Means()
        self.known: dict[tuple, Known] = {}
        self.size, self.seen, self.role = (0, 0), False, UNKNOWN
        self.repainted = repainted or Repainted()
        self.last: tuple[StepEvaluation, str] | None = None  # (the last evaluation kept, its role)

    def options(self, options: dict) -> dict:
        self.inner = options.get(OVERRIDE)
        options = with_wrapper({**options, OVERRIDE: self._attend}, CALC_COND_BATCH, self.key, self._evaluate)
        options = with_wrapper(options, DIFFUSION_MODEL, self.key, around_forward(self._forward))
        if self.measure == FLOW:
            options = watching(options, self.depth, self._see)
        if self.measure == OUTPUT:
            patches = options.get(PATCHES, {})
            outputs = [*patches.get(ATTN_OUTPUT, []), self._output]
            options = {**options, PATCHES: {**patches, ATTN_OUTPUT: outputs}}
        return options

    def reading(self) -> HeatReading:
        """Raises the exception stored during the run, or ValueError if the watched prompt's attention was not seen."""
        if self.guard.error is not None:
            raise self.guard.error
        if not self.steps.means:
            raise ValueError(
                f"{self.title}: the T5 prompt at `txt` was not part of the model's input in the recorded steps, so "
                "there is nothing to show. Connect the prompt that is sampled to `txt`. A prompt that is averaged or "
                "zeroed after its encoding (Conditioning Average, ZeroOut) is no longer that prompt."
                if self.seen else
                f"{self.title}: the run's attention was never seen. This model's blocks do not use ComfyUI's attention "
                "(wrapped models, and packs that replace FLUX's forward), so there is nothing to show."
            )  # fmt: skip
        return self._recorded()

    def _recorded(self) -> HeatReading:
        numbers, maps, groups, acts, repainted = self.steps.stacked()
        sigmas = tuple(self.levels[number] for number in numbers)
        return HeatReading(self.measure, self.wanted.words, maps, groups, sigmas, numbers, self.depth.double, self.size,
                       heads=self.heads, role=self.role, acts=acts, repainted=repainted)  # fmt: skip

    # ---- around the evaluation of all prompts

    def _evaluate(self, executor, model, conds, x, timestep, options):
        given, moment = options.get(OPTIONS, {}), None
        with self.guard:
            sigma = float(timestep[0])
            step = step_at(self.levels, sigma)
            if step % self.every == 0 and not given.get(AGAIN) and self.guard.error is None:
                names = roles(conds, self._known())
                where = [places(cond, x, timestep) if cond else {} for cond in conds]
                moment = StepEvaluation(step, sigma, x, lambda index, uuid: (names[index], where[index][uuid]))
        options = {**options, OPTIONS: {**given, self.moment: moment}}
        out = executor(model, conds, x, timestep, options)
        if moment is not None:
            with self.guard:
                self._keep(moment)
        return out

    def _known(self) -> Mapping[str, Sequence[Entry]]:
        return guiders.conds_of(self.guider)

    def _alone(self, given: Given) -> StepEvaluation | None:
        """For a forward that another node runs directly, not through ComfyUI's evaluation of prompts."""
        if not {UUIDS, SIGMAS, COND_OR_UNCOND} <= given.options.keys():
            raise ValueError(
                f"{self.title}: another node evaluates the model directly, not through ComfyUI's sampling functions, "
                "and does not pass on for which prompt, so there is nothing to show. Run without that node."
            )
        sigma = float(given.options[SIGMAS][0])
        step = step_at(self.levels, sigma)
        if step % self.every or given.options.get(AGAIN):
            return None
        own = {entry[UUID]: (role, entry) for role in sorted(self._known(), key=rank, reverse=True)
               for entry in self._known()[role] or ()}  # fmt: skip
        if any(AREA in own[uuid][1] for uuid in given.options[UUIDS] if uuid in own):
            raise ValueError(
                f"{self.title}: another node has replaced ComfyUI's evaluation of prompts, so the position of a prompt "
                "with an area is unknown. Run without that node, or without areas."
            )
        # Several forwards may belong to one evaluation, so none counts as a repetition: NaN equals no sigma.
        return StepEvaluation(step, math.nan, given.x, lambda _, uuid: (own.get(uuid, (UNKNOWN,))[0], Place()))

    def _keep(self, moment: StepEvaluation) -> None:
        """Adds the evaluation's result for its preferred role; a role preferred to earlier ones replaces them."""
        by_role: dict[str, list[Result]] = {}
        for result in moment.results:
            by_role.setdefault(result.role, []).append(result)
        if not by_role:
            return
        role = min(by_role, key=rank)
        if self.last is not None and self.last[1] == role and moment.repeats(self.last[0]):
            return
        if role != self.role and self.steps.means:
            if rank(role) > rank(self.role):
                return
            self.steps = Means()
        self.last = moment, role
        self.role, self.size = role, Grid(moment.x.shape[-2:], self.patch, Place()).whole
        self.steps.add(moment.step, reduce(Result.plus, by_role[role]))

    # ---- around a forward

    def _forward(self, evaluate, given: Given):
        """Runs a forward with a Forward in its transformer_options, if it is to be watched."""
        forward = moment = None
        with self.guard:
            is_alone = self.moment not in given.options
            moment = self._alone(given) if is_alone else given.options[self.moment]
            forward = self._begun(moment, given) if moment else None
        if forward is None:
            return evaluate(given.options)
        out = evaluate({**given.options, self.key: forward})
        with self.guard:
            if forward.seen:
                self.seen = True
                moment.results.extend(chunk.result() for chunk in forward.chunks)
            if is_alone:
                self._keep(moment)
        return out

    def _begun(self, moment: StepEvaluation, given: Given) -> Watched | None:
        flow = Flow(given.flux) if self.measure == FLOW else None
        return Forward(self._chunks(moment, given, self.depth.blocks), given.context, flow, self.measure == OUTPUT)

    def _chunks(self, moment: StepEvaluation, given: Given, depth: int) -> list[Chunk]:
        """A chunk for each prompt of a forward, with maps of `depth` blocks."""
        indices = given.options[COND_OR_UNCOND]
        each, chunks, mask = given.x.shape[0] // len(indices), [], self.repainted.mask
        mask = None if mask is None else places_of(mask)
        for number, (index, uuid) in enumerate(zip(indices, given.options[UUIDS], strict=True)):
            role, place = moment.who(index, uuid)
            grid = Grid(moment.x.shape[-2:], self.patch, place, mask)
            rows = slice(number * each, (number + 1) * each)
            known = self.known.setdefault((uuid, rows.start, given.x.device), Known())
            chunks.append(Chunk(role, rows, grid, depth, self.heads, self.wanted, known))
        return chunks

    def _attend(self, attention, q, k, v, *args, mask=None, **kwargs):
        native = partial(self.inner, attention) if self.inner is not None else attention
        options = kwargs.get(OPTIONS) or {}
        forward, group = options.get(KEY), options.get(GROUP)
        is_watched = forward is not None and self.guard.error is None
        if not is_watched or (GROUP in options and group is None):  # a T5 negative, which image tokens do not attend to
            return native(q, k, v, *args, mask=mask, **kwargs)
        chunks = []
        with self.guard:
            chunks = forward.locate(options.get(CONTEXT))
        if not chunks:
            return native(q, k, v, *args, mask=mask, **kwargs)
        out, lse = self.attention.output(native, q, k, v, args, mask, kwargs)
        with self.guard:
            forward.note(self.depth.number(options), q, k, v, lse_of(q, k, mask) if lse is None else lse, mask, group)
        return out

    def _see(self, block: int, args: dict) -> None:
        with self.guard:
            forward = args[OPTIONS].get(KEY)
            if forward is not None:
                forward.flow.vecs[block] = args["vec"]

    def _output(self, attn: Tensor, options: dict) -> Tensor:
        forward = options.get(KEY)
        if forward is not None and self.guard.error is None:
            with self.guard:
                forward.note_output(self.depth.number(options), attn)
        return attn
