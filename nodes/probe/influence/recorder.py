"""The recorder of Encoder Influence: measures velocities and modulation at each chosen step. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from torch import Tensor

from ...compat.flux_model import timestep_embedding
from ...compat.guiders import base_model_of
from ...compat.sampling import percent_to_sigma_in
from ...condition.blocks import Blocks
from ...condition.controls import TXT, VEC
from ...condition.timepoints import percent_at
from ...flux1_sizes import T5_ROWS, TIME_WIDTH
from .. import repainted
from ..reeval import Entry, Evaluation, Reevaluator
from ..repainted import Repainted
from ..replace_prompt import Null, is_null, prompt_of, unchanged, with_id, within, without
from . import modulation
from .choices import NAME
from .effects import Effects, effects, length
from .reading import InfluenceReading, StepReading

KEY = "flux_duet_influence"
SAME = ("", "again")  # the unchanged prompt, to measure the noise floor


@dataclass(frozen=True)
class InfluencePlan:
    """What to measure: at every k-th step, against these nulls, and also in `blocks` alone unless None."""

    nulls: Sequence[Null]
    every: int = 1
    blocks: Blocks | None = None
    usual: int = T5_ROWS  # rows of a short T5 prompt


@dataclass(eq=False)
class InfluenceRecorder:
    """For one run."""

    plan: InfluencePlan
    guider: Any
    sigmas: Tensor
    repainted: Repainted
    moments: list[StepReading] = field(default_factory=list)

    def __post_init__(self):
        steps = range(0, max(len(self.sigmas) - 1, 1), self.plan.every)
        self.reevaluator = Reevaluator(KEY, self.guider, self.sigmas, steps, self._measure, self.repainted)
        self.reevaluator.forward = self._modulated
        self.kinds: Sequence[str] = ()
        self.parts: Tensor | None = None
        self.counted, self.lengths = 0, None

    def options(self, options: dict) -> dict:
        return self.reevaluator.options(options)

    def reading(self) -> InfluenceReading:
        self.reevaluator.check(NAME)
        moments = [
            replace(
                each,
                effects={name: one.on_cpu() for name, one in each.effects.items()},
                modulation=None if each.modulation is None else each.modulation.to("cpu"),
                floor=None if each.floor is None else each.floor.to("cpu"),
                repainted=None if each.repainted is None else each.repainted.to("cpu"),
            )
            for each in self.moments
        ]
        plain, extra = self.reevaluator.counts.rows
        steps, kinds = len(self.sigmas) - 1, tuple(self.kinds)
        return InfluenceReading(moments, steps, self.plan.every, (plain, extra), kinds, self.counted, self.lengths)

    def _measure(self, evaluation: Evaluation) -> None:
        for null in self.plan.nulls:
            null.check([prompt_of(entry, TXT) for entry in evaluation.entries])
        self.counted = max(self.counted, *(self._counted(entry) for entry in evaluation.entries))
        for null, entry in product(self.plan.nulls, evaluation.entries):
            self.lengths = self.lengths or null.lengths(prompt_of(entry, TXT))
        variants = {}
        for null in self.plan.nulls:
            own = self._variants(evaluation.entries, null)
            variants |= {(null.name, name): entries for name, entries in own.items()}
        if variants:  # SAME first, so that it is evaluated in one batch with variants
            variants = {SAME: [with_id(unchanged(entry), "again") for entry in evaluation.entries], **variants}
        velocities = dict(zip(variants, evaluation.again(list(variants.values())), strict=True))
        found = {null.name: _effects(evaluation, velocities, null.name) for null in self.plan.nulls}
        floor = length(velocities[SAME] - evaluation.velocity) if variants else None
        percent = percent_at(evaluation.sigma, percent_to_sigma_in(base_model_of(self.guider)))
        share = repainted.share(evaluation.mask, len(evaluation.velocity))
        self.moments.append(StepReading(evaluation.step, evaluation.sigma, percent, found, self.parts, floor, share))
        self.parts = None

    def _counted(self, entry: Entry) -> int:
        """The number of rows taken as the T5 prompt if some may be of another source (Redux), else 0."""
        null, txt = self.plan.nulls[0], prompt_of(entry, TXT)
        unknown = not null.sampled and null.rows(txt) == slice(0, txt.shape[1])
        return txt.shape[1] if unknown and txt.shape[1] > self.plan.usual else 0

    def _variants(self, entries: Sequence[Entry], null: Null) -> dict[str, list[Entry]]:
        """The prompts to evaluate, by name; those equal to another one are left out."""
        acts = {stream: not all(is_null(entry, stream, null) for entry in entries) for stream in (VEC, TXT)}
        variants = {
            "v10": acts[VEC] and [without(entry, VEC, null) for entry in entries],
            "v01": acts[TXT] and [without(entry, TXT, null) for entry in entries],
            "v00": all(acts.values()) and [without(without(entry, VEC, null), TXT, null) for entry in entries],
        }
        if (blocks := self.plan.blocks) is not None:
            variants["in v10"] = acts[VEC] and [within(entry, VEC, null, blocks) for entry in entries]
            variants["in v01"] = acts[TXT] and [within(entry, TXT, null, blocks) for entry in entries]
        return {name: [with_id(entry, f"{null.name} {name}") for entry in changed]
                for name, changed in variants.items() if changed}  # fmt: skip

    def _modulated(self, flux, given: Mapping[str, Tensor | None]) -> None:
        """Measures the modulation's parts at a plain forward, for the first picture."""
        tables = modulation.tables(flux)
        if tables is None or given["y"] is None:
            return
        y, self.kinds = given["y"], list(tables)
        time = flux.time_in(timestep_embedding(given["t"], TIME_WIDTH).to(y))[0]
        guided = flux.params.guidance_embed and given["g"] is not None
        guidance = flux.guidance_in(timestep_embedding(given["g"], TIME_WIDTH).to(y))[0] if guided else time * 0
        clip, null = (flux.vector_in(each)[0] for each in (y, self.plan.nulls[0].like(y, VEC)[:1]))
        self.parts = modulation.parts(tables, (time, guidance, clip), null)


def _effects(evaluation: Evaluation, velocities: Mapping[tuple[str, str], Tensor], null: str) -> Effects:
    v11 = evaluation.velocity

    def of(name: str, same: Tensor) -> Tensor:
        return velocities.get((null, name), same)

    v10, v01 = of("v10", v11), of("v01", v11)
    # A prompt that equals the null already has no effect, with or without the other prompt.
    v00 = of("v00", v10 if (null, "v01") not in velocities else v01)
    in_blocks = any(name.startswith("in ") for own, name in velocities if own == null)
    within = [of("in v10", v11), of("in v01", v11)] if in_blocks else []
    return effects(v11, v10, v01, v00, within, evaluation.mask)
