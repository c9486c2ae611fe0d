"""Attaches a probe to a MODEL's runs, one run at a time. Imports ComfyUI.

As in ComfyUI's EasyCache, the probe's hooks are added to a copy of the options when a run begins, and the original
options are restored when it ends, fails or is interrupted.

If the probe's own code fails, the run continues as it would without the probe, and reading the result for that run's
LATENT raises the error. Three things are not caught: an interruption, errors of the model, and running out of GPU
memory, which ComfyUI handles itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from ..compat import guiders
from ..compat.memory import is_out_of_memory
from ..compat.patches import clone_options
from ..compat.wrappers import OUTER_SAMPLE, set_wrapper
from ..keys import MASK_FUNCTION, OPTIONS
from .reading_store import ReadingStore, Unread
from .repainted import Repainted
from .run_settings import of_run

log = logging.getLogger("flux_duet")


class Guard:
    """A context manager around a probe's own code: it stores the first exception, and the run continues.

    The exception is also logged if `logs` is set. A recorder's guard does not log: its `reading` raises the stored
    exception inside the guard of the run, which logs it.
    """

    def __init__(self, name: str, logs: bool = True):
        self.name, self.logs = name, logs
        self.error: Exception | None = None

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, kind, error, trace) -> bool:
        if not isinstance(error, Exception) or is_out_of_memory(error):
            return False
        if self.error is None:
            self.error = error
            if self.logs:
                log.warning(self.why(), exc_info=None if isinstance(error, ValueError) else error)
        return True

    def why(self) -> str:
        """The stored error as a message for the user."""
        if isinstance(self.error, ValueError):  # written for the user already
            return str(self.error)
        return (
            f"{self.name}: this run could not be measured ({type(self.error).__name__}: {self.error}). The picture "
            "is not affected. Please report this, with ComfyUI's log."
        )


class Recorder(Protocol):
    """Records one run: `options` adds its hooks to ComfyUI's transformer_options, `reading` returns the result.

    It runs all of its own code in the hooks inside a Guard that does not log; `reading` raises the guard's error.
    """

    def options(self, options: dict) -> dict: ...

    def reading(self) -> Any: ...


def probed(
    model, probe: ReadingStore, key: str, begin: Callable[[Any, Any, Repainted], Recorder],
    check: Callable[[Any, Any, Any], None] | None = None,
):  # fmt: skip
    """A clone of a MODEL; `probe` stores a reading of each of its runs.

    `begin(guider, sigmas, repainted)` returns the recorder of a run. `check(guider, sigmas, shape)` may refuse a run on
    a latent of that shape before it begins, by raising ValueError; nothing else in a probe stops a run. A run that
    fails or is interrupted leaves no reading.
    """
    model = model.clone()

    def around(executor, noise, latent_image, sampler, sigmas, *args, **kwargs):
        guider = guiders.wrapped_object(executor)
        given = guiders.options_of(guider)
        guard, recorder, reading, settings = Guard(probe.name), None, None, {}
        repainted = Repainted(kwargs.get("denoise_mask", next(iter(args), None)))
        with guard:
            if check is not None:
                check(guider, sigmas, noise.shape)
        if isinstance(guard.error, ValueError):
            raise guard.error
        with guard:
            settings = of_run(guider, noise.shape, sampler, sigmas, kwargs.get("seed", next(iter(args[3:]), None)))
            recorder = begin(guider, sigmas, repainted)
            guiders.set_options(guider, _options(given, recorder, repainted))  # last: all hooks are attached, or none
        try:
            samples = executor(noise, latent_image, sampler, sigmas, *args, **kwargs)
        finally:
            guiders.set_options(guider, given)
        if guard.error is None:
            with guard:
                reading = recorder.reading()
        with guard:
            probe.keep(samples, reading if guard.error is None else Unread(guard.why()), settings)
        return samples

    set_wrapper(model, OUTER_SAMPLE, key, around)
    return model


def _options(given: dict, recorder: Recorder, repainted: Repainted) -> dict:
    """A copy of ComfyUI's model_options with a recorder's hooks added."""
    options = clone_options(given)
    if repainted.mask is not None and MASK_FUNCTION in options:
        options[MASK_FUNCTION] = repainted.noting(options[MASK_FUNCTION])
    options[OPTIONS] = recorder.options(options[OPTIONS])
    return options


# In transformer_options during an extra evaluation by a probe; the value is that probe's key. Other probes ignore it.
AGAIN = "flux_duet_again"


@dataclass(frozen=True, eq=False)
class Given:
    """The arguments of one call of Flux.forward. `context` [B, L, C] is txt, `options` are the transformer_options."""

    flux: Any
    x: Tensor
    timestep: Tensor
    context: Tensor
    y: Tensor | None
    guidance: Tensor | None
    options: Mapping[str, Any]


def around_forward(hook: Callable[[Callable[[dict], Tensor], Given], Tensor]) -> Callable:
    """A wrapper for Flux.forward, with its signature, that returns `hook(evaluate, given)`.

    The hook calls `evaluate(transformer_options)` to run the forward.
    """

    def wrapper(executor, x, timestep, context, y=None, guidance=None, ref_latents=None, control=None,
                transformer_options=None, **kwargs):  # fmt: skip
        def evaluate(options: dict) -> Tensor:
            return executor(x, timestep, context, y, guidance, ref_latents, control, options, **kwargs)

        options = transformer_options if transformer_options is not None else {}
        return hook(evaluate, Given(guiders.wrapped_object(executor), x, timestep, context, y, guidance, options))

    return wrapper
