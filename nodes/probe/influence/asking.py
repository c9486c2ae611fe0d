"""Asks a model again, at chosen steps of a run, with other prompts on the same x_t. Imports ComfyUI.

Two wrappers stand around the evaluation of all prompts. The outer one lets the plain evaluation happen exactly as it
would, and only then asks anew, so the picture is the same to the last bit. The inner one, inside of what settles
controls, sees what the prompt is at this moment. A third counts what really goes through the model.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...condition.time.clock import step_at
from ..attach import AGAIN, with_wrapper
from .retelling import Entry

AT_ONCE = 8  # prompts that are handed over together; between them one may interrupt


@dataclass(frozen=True, eq=False)
class Asking:
    """A moment of a run: what was asked, what came, and a way to ask anew. `entries` are the prompt as it is now."""

    step: int
    sigma: float
    entries: Sequence[Entry]
    velocity: Tensor
    again: Callable[[Sequence[Sequence[Entry]]], list[Tensor]]


class Counts:
    """Rows of a batch that went through the model, plain ones and those asked anew.

    Counted right around FLUX.1's forward, where caches have had their say; for a model that does not let anyone stand
    there, around what ComfyUI calls.
    """

    def __init__(self):
        self.applied, self.forward = [0, 0], [0, 0]

    @property
    def rows(self) -> list[int]:
        """[plain, anew]"""
        return self.forward if any(self.forward) else self.applied

    @property
    def times(self) -> float:
        """What the run cost, as a multiple of the plain one."""
        return sum(self.rows) / max(self.rows[0], 1)


class Asker:
    """For one run. `measure` is called once for each of the chosen steps, at the step's first evaluation."""

    def __init__(self, key: str, guider, sigmas: Tensor, steps: Container[int], measure: Callable[[Asking], None]):
        self.key, self.guider, self.steps, self.measure = key, guider, steps, measure
        self.sigmas = [float(sigma) for sigma in sigmas]
        self.counts, self.done = Counts(), set()
        self.entries: Sequence[Entry] | None = None  # of the positive, as the inner wrapper sees them
        self.asks = False
        self.forward: Callable[[Any, Mapping[str, Any]], None] | None = None  # what else looks at a plain forward

    def options(self, options: dict) -> dict:
        options = with_wrapper(options, WrappersMP.CALC_COND_BATCH, f"{self.key}_inside", self._inside)
        options = with_wrapper(options, WrappersMP.APPLY_MODEL, self.key, self._applied)
        options = with_wrapper(options, WrappersMP.DIFFUSION_MODEL, self.key, self._forward)
        wrappers = options["wrappers"]
        outermost = {self.key: [self._around], **wrappers[WrappersMP.CALC_COND_BATCH]}
        return {**options, "wrappers": {**wrappers, WrappersMP.CALC_COND_BATCH: outermost}}

    def step(self, sigma: float) -> int:
        """The step that an evaluation at this sigma belongs to."""
        return step_at(self.sigmas[:-1], sigma)

    def is_due(self, sigma: float) -> bool:
        step = self.step(sigma)
        return sigma > 0 and step in self.steps and step not in self.done

    def positive(self) -> set:
        return {entry["uuid"] for entry in self.guider.conds.get("positive") or ()}

    def _place(self, conds: Sequence) -> int | None:
        """Which of the prompts that are asked together is the positive."""
        ids = self.positive()
        places = (at for at, cond in enumerate(conds) if cond and all(entry["uuid"] in ids for entry in cond))
        return next(places, None)

    def _inside(self, executor, model, conds, x, timestep, options):
        if not self.asks:
            place = self._place(conds)
            self.entries = None if place is None else conds[place]
        return executor(model, conds, x, timestep, options)

    def _applied(self, executor, x, *args, **kwargs):
        self.counts.applied[self.asks] += x.shape[0]
        return executor(x, *args, **kwargs)

    def _forward(self, executor, x, timestep, context, y=None, guidance=None, *args, **kwargs):
        self.counts.forward[self.asks] += x.shape[0]
        out = executor(x, timestep, context, y, guidance, *args, **kwargs)
        options = kwargs.get("transformer_options") or next((each for each in args if isinstance(each, dict)), {})
        if self.forward is not None and not self.asks and "uuids" in options:
            self._show(executor.class_obj, x, {"t": timestep, "y": y, "g": guidance}, options)
        return out

    def _show(self, flux, x: Tensor, given: Mapping[str, Tensor | None], options: Mapping[str, Any]) -> None:
        """The positive's first row of a batch, to whom it may concern."""
        ids, uuids = self.positive(), options["uuids"]
        place = next((at for at, each in enumerate(uuids) if each in ids), None)
        if place is not None and self.is_due(float(options["sigmas"][0])):
            row = place * (x.shape[0] // len(uuids))
            self.forward(flux, {name: None if each is None else each[row : row + 1] for name, each in given.items()})

    def _around(self, executor, model, conds, x, timestep, options):
        self.entries, before = None, self.counts.rows[0]
        out = executor(model, conds, x, timestep, options)
        sigma, place = float(timestep[0]), self._place(conds)
        # A forward that a cache left out says nothing of the model at this moment.
        if place is None or not self.is_due(sigma) or not self.entries or self.counts.rows[0] == before:
            return out

        def again(prompts: Sequence[Sequence[Entry]]) -> list[Tensor]:
            denoised = self._again(partial(executor, model), prompts, place, (x, timestep), options)
            return [_velocity(x, each, sigma) for each in denoised]

        self.done.add(self.step(sigma))
        self.measure(Asking(self.step(sigma), sigma, self.entries, _velocity(x, out[place], sigma), again))
        return out

    def _again(self, ask, prompts: Sequence[Sequence[Entry]], place: int, at: tuple, options: dict) -> list[Tensor]:
        given = options.get("transformer_options", {})
        options = {**options, "transformer_options": {**given, AGAIN: True}}
        # What other nodes put around blocks may know a positive by its place among the prompts.
        alone = any(given.get(name) for name in ("patches", "patches_replace", "optimized_attention_override"))
        before, at_once = (place, 1) if alone else (0, AT_ONCE)
        self.asks, out = True, []
        try:
            for first in range(0, len(prompts), at_once):
                comfy.model_management.throw_exception_if_processing_interrupted()
                conds = [*[None] * before, *(list(prompt) for prompt in prompts[first : first + at_once])]
                out += ask(conds, *at, options)[before:]
        finally:
            self.asks = False
        return out

    def check(self, name: str) -> None:
        """Raises ValueError where the run passed this by."""
        if not self.done:
            raise ValueError(
                f"{name}: the run never asked its MODEL for the positive prompt in ComfyUI's own way, so there is "
                "nothing to measure. Another node has replaced the model's evaluation or the guider: measure without "
                "it, with MMDiT Sampler, KSampler or SamplerCustomAdvanced."
            )


def _velocity(x: Tensor, denoised: Tensor, sigma: float) -> Tensor:
    return (x - denoised).float() / sigma
