"""Puts a probe around the runs of a MODEL, for one run at a time. Imports ComfyUI.

As ComfyUI's EasyCache does it: what a probe needs is added to a copy of the options when a run begins, and the options
are as before when it ends, fails or is interrupted.

Whatever goes wrong in a probe's own code, the run goes on as it would without the probe, and the reading of its latent
says what it was. Three things pass: an interruption, the model's own errors, and running out of the card's memory,
which ComfyUI handles itself.
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
    """A context around a probe's own code: what it raises is kept, and the run goes on.

    It is logged too, but for a recorder's guard, without `logs`: what that has kept, `reading` raises in the run's.
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
        """What went wrong, as one sentence and what to do."""
        if isinstance(self.error, ValueError):  # meant for people already
            return str(self.error)
        return (
            f"{self.name}: this run could not be read ({type(self.error).__name__}: {self.error}). The picture is "
            "what it is without the probe. Please report this, with ComfyUI's log."
        )


class Recorder(Protocol):
    """What watches one run: it changes ComfyUI's transformer_options, and gives its reading when the run is over.

    It holds a Guard, without `logs`, around all of its own code in the hooks; `reading` raises what that has kept.
    """

    def options(self, options: dict) -> dict: ...

    def reading(self) -> Any: ...


def probed(
    model, probe: ReadingStore, key: str, begin: Callable[[Any, Any, Repainted], Recorder],
    check: Callable[[Any, Any, Any], None] | None = None,
):  # fmt: skip
    """A clone of a MODEL whose runs `probe` keeps readings of; `begin(guider, sigmas, repainted)` gives a recorder.

    `check(guider, sigmas, shape)` may refuse a run of this latent before it begins, by a ValueError: the only thing of
    a probe that stops one. A run that fails or is interrupted leaves no reading.
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
            guiders.set_options(guider, _options(given, recorder, repainted))  # last: all of it or nothing
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
    """ComfyUI's model_options with what a recorder adds to them for its run."""
    options = clone_options(given)
    if repainted.mask is not None and MASK_FUNCTION in options:
        options[MASK_FUNCTION] = repainted.noting(options[MASK_FUNCTION])
    options[OPTIONS] = recorder.options(options[OPTIONS])
    return options


# In transformer_options while a probe asks the model once more for itself, by which: other probes look away then.
AGAIN = "flux_duet_again"


@dataclass(frozen=True, eq=False)
class Given:
    """What Flux.forward was given, by name; `context` [B, L, C] are the text's rows. `options` are ComfyUI's."""

    flux: Any
    x: Tensor
    timestep: Tensor
    context: Tensor
    y: Tensor | None
    guidance: Tensor | None
    options: Mapping[str, Any]


def around_forward(hook: Callable[[Callable[[dict], Tensor], Given], Tensor]) -> Callable:
    """A wrapper around Flux.forward, whose arguments are these. `hook(ask, given)` calls `ask(transformer_options)`."""

    def wrapper(executor, x, timestep, context, y=None, guidance=None, ref_latents=None, control=None,
                transformer_options=None, **kwargs):  # fmt: skip
        def ask(options: dict) -> Tensor:
            return executor(x, timestep, context, y, guidance, ref_latents, control, options, **kwargs)

        options = transformer_options if transformer_options is not None else {}
        return hook(ask, Given(guiders.wrapped_object(executor), x, timestep, context, y, guidance, options))

    return wrapper
