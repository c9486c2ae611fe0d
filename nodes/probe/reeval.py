"""Evaluates a model again at chosen steps of a run, with other prompts on the same x_t. Imports ComfyUI.

Two wrappers surround ComfyUI's evaluation of all prompts (calc_cond_batch). The outer one runs the plain evaluation
first and the extra ones after it, so the picture is unchanged bit for bit. The inner one runs after sample/apply.py has
resolved the controls, and records the prompt as it is at this step. A third wrapper counts the rows that go through
the model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ..compat import guiders
from ..compat.memory import check_interrupted
from ..compat.wrappers import APPLY_MODEL, CALC_COND_BATCH, DIFFUSION_MODEL, with_wrapper
from ..condition.timepoints import step_at
from ..keys import COND_OR_UNCOND, OPTIONS, OVERRIDE, PATCHES, REPLACE
from .entries import POSITIVE, roles
from .hooks import AGAIN, Given, Guard, around_forward
from .repainted import Repainted, counted
from .replace_prompt import Entry

AT_ONCE = 8  # prompts evaluated in one call; between calls the run can be interrupted


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One plain evaluation of the positive prompt. `entries` are the prompt at this step.

    `velocity` [B, C, h, w] is its result; `again(prompts)` evaluates the model with each of these prompts on the same
    x_t, or on the one given, and returns a velocity for each. Under a mask all velocities are multiplied by it
    (repainted.counted). `denoised` is the x_0 that the model gives at this step.
    """

    step: int
    sigma: float
    entries: Sequence[Entry]
    velocity: Tensor
    again: Callable[..., list[Tensor]]
    mask: Tensor | None = None
    denoised: Tensor | None = None


class RowCounts:
    """Batch rows that went through the model, plain and extra ones. Safe for several threads.

    Counted at FLUX.1's forward, so that evaluations answered by a cache do not count; at apply_model for a model whose
    forward cannot be wrapped.
    """

    def __init__(self):
        self.applied, self.forward = [0, 0], [0, 0]
        self._lock = threading.Lock()

    @property
    def rows(self) -> list[int]:
        """[plain, extra]"""
        return self.forward if any(self.forward) else self.applied

    @property
    def times(self) -> float:
        """Cost of the run, as a multiple of the plain run's."""
        return sum(self.rows) / max(self.rows[0], 1)

    def add(self, where: list[int], is_extra: bool, rows: int) -> None:
        with self._lock:
            where[is_extra] += rows


@dataclass(eq=False)
class PlainEvaluation:
    """One plain evaluation of all prompts, at `sigma`: the role of each, and the positive's entries with controls
    resolved."""

    names: Sequence[str]
    sigma: float = 0.0
    entries: Sequence[Entry] | None = None

    @property
    def place(self) -> int | None:
        """Index of the positive among the prompts; None if it is not evaluated."""
        return self.names.index(POSITIVE) if POSITIVE in self.names else None


class Reevaluator:
    """For one run. Calls `measure` once for each of the chosen steps, at the step's first evaluation.

    Exceptions in `measure` and `forward` do not stop the run; `check` raises them when it is over.
    """

    def __init__(
        self, key: str, guider, sigmas: Tensor, steps: Container[int], measure: Callable[[Evaluation], None],
        repainted: Repainted,
    ):  # fmt: skip
        self.repainted = repainted
        self.key, self.guider, self.steps, self.measure = key, guider, steps, measure
        self.moment = f"{key}_moment"  # in transformer_options
        self.sigmas = sigmas.tolist()
        self.counts, self.done, self.guard = RowCounts(), set(), Guard(key, logs=False)
        self.forward: Callable[[Any, Mapping[str, Any]], None] | None = None  # also called at each plain forward

    def options(self, options: dict) -> dict:
        options = with_wrapper(options, CALC_COND_BATCH, f"{self.key}_inside", self._inside)
        options = with_wrapper(options, APPLY_MODEL, self.key, self._applied)
        options = with_wrapper(options, DIFFUSION_MODEL, self.key, around_forward(self._forward))
        return with_wrapper(options, CALC_COND_BATCH, self.key, self._around, outermost=True)

    def step(self, sigma: float) -> int:
        """The number of the step that an evaluation at this sigma belongs to."""
        return step_at(self.sigmas[:-1], sigma)

    def is_due(self, sigma: float) -> bool:
        step = self.step(sigma)
        return sigma > 0 and step in self.steps and step not in self.done

    def _inside(self, executor, model, conds, x, timestep, options):
        moment = options.get(OPTIONS, {}).get(self.moment)
        if moment is not None and moment.place is not None:
            moment.entries = conds[moment.place]
        return executor(model, conds, x, timestep, options)

    def _count(self, where: list[int], options: Mapping[str, Any] | None, rows: int) -> None:
        by = (options or {}).get(AGAIN)
        if by in (None, self.key):  # other probes' extra evaluations are not counted
            self.counts.add(where, by is not None, rows)

    def _applied(self, executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None,
                 **kwargs):  # fmt: skip
        self._count(self.counts.applied, transformer_options, x.shape[0])
        options = {} if transformer_options is None else transformer_options
        return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

    def _forward(self, evaluate, given: Given):
        self._count(self.counts.forward, given.options, given.x.shape[0])
        out = evaluate(given.options)
        moment = given.options.get(self.moment)
        if self.forward is not None and moment is not None and self.guard.error is None:
            with self.guard:
                self._show(moment, given)
        return out

    def _show(self, moment: PlainEvaluation, given: Given) -> None:
        """Passes the arguments of the positive's first row of the batch to `forward`."""
        indices = given.options[COND_OR_UNCOND]
        if moment.place in indices and self.is_due(moment.sigma):
            row = indices.index(moment.place) * (given.x.shape[0] // len(indices))
            parts = {"t": given.timestep, "y": given.y, "g": given.guidance}
            self.forward(given.flux, {name: None if each is None else each[row : row + 1]
                                      for name, each in parts.items()})  # fmt: skip

    def _around(self, executor, model, conds, x, timestep, options):
        given = options.get(OPTIONS, {})
        if given.get(AGAIN) or self.guard.error is not None:
            return executor(model, conds, x, timestep, options)
        moment, before = PlainEvaluation(()), self.counts.rows[0]
        with self.guard:
            moment = PlainEvaluation(roles(conds, guiders.conds_of(self.guider)), float(timestep[0]))
        out = executor(model, conds, x, timestep, {**options, OPTIONS: {**given, self.moment: moment}})
        with self.guard:
            # If no row was counted, a cache answered, and `out` is not the model's value at this step.
            if moment.entries and self.is_due(moment.sigma) and self.counts.rows[0] != before:
                self._measured(partial(executor, model), moment, out, (x, timestep), options)
        return out

    def _measured(
        self, evaluate, moment: PlainEvaluation, out: Sequence[Tensor], at: tuple[Tensor, Tensor], options: dict
    ) -> None:
        x, sigma, mask = at[0], moment.sigma, self.repainted.mask

        def velocity(denoised: Tensor, x: Tensor = x) -> Tensor:
            return counted((x - denoised).float() / sigma, mask)

        def again(prompts: Sequence[Sequence[Entry]], x: Tensor = x) -> list[Tensor]:
            found = self._again(evaluate, prompts, moment.place, (x, at[1]), options)
            return [velocity(each, x) for each in found]

        self.done.add(self.step(sigma))
        denoised = out[moment.place]
        plain = velocity(denoised)
        self.measure(Evaluation(self.step(sigma), sigma, moment.entries, plain, again, mask, denoised))

    def _again(
        self, evaluate, prompts: Sequence[Sequence[Entry]], place: int, at: tuple, options: dict
    ) -> list[Tensor]:
        given = options.get(OPTIONS, {})
        options = {**options, OPTIONS: {**given, AGAIN: self.key}}
        # Other nodes' patches around blocks may identify the positive by its index, so it keeps that index.
        alone = any(given.get(name) for name in (PATCHES, REPLACE, OVERRIDE))
        before, at_once = (place, 1) if alone else (0, AT_ONCE)
        out = []
        for first in range(0, len(prompts), at_once):
            check_interrupted()
            conds = [*[None] * before, *(list(prompt) for prompt in prompts[first : first + at_once])]
            out += evaluate(conds, *at, options)[before:]
        return out

    def check(self, name: str) -> None:
        """Raises the exception stored during the run, or ValueError if no step was measured."""
        if self.guard.error is not None:
            raise self.guard.error
        if not self.done:
            raise ValueError(
                f"{name}: the run never evaluated the positive prompt through ComfyUI's own sampling functions, so "
                "there is nothing to measure. Another node has replaced the model's evaluation or the guider: measure "
                "without it, with MMDiT Sampler, KSampler or SamplerCustomAdvanced."
            )
