"""Puts a probe around the runs of a MODEL, for one run at a time. Imports ComfyUI.

As ComfyUI's EasyCache does it: what a probe needs is added to a copy of the options when a run begins, and the options
are as before when it ends, fails or is interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import comfy.model_patcher
from comfy.patcher_extension import WrappersMP

from .record import Probe


class Recorder(Protocol):
    """What watches one run: it changes ComfyUI's transformer_options, and gives its reading when the run is over."""

    def options(self, options: dict) -> dict: ...

    def reading(self) -> Any: ...


def probed(model, probe: Probe, key: str, begin: Callable[[Any, Any], Recorder]):
    """A clone of a MODEL whose runs `probe` keeps a reading of. `begin(guider, sigmas)` gives the recorder of a run.

    A run that fails or is interrupted leaves no reading.
    """
    model = model.clone()

    def around(executor, noise, latent_image, sampler, sigmas, *args, **kwargs):
        guider = executor.class_obj
        given = guider.model_options
        recorder = begin(guider, sigmas)
        guider.model_options = comfy.model_patcher.create_model_options_clone(given)
        guider.model_options["transformer_options"] = recorder.options(guider.model_options["transformer_options"])
        try:
            samples = executor(noise, latent_image, sampler, sigmas, *args, **kwargs)
        finally:
            guider.model_options = given
        probe.keep(samples, recorder.reading())
        return samples

    model.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, key)
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, key, around)
    return model


# In transformer_options while a probe asks the model once more for itself: other probes look away then.
AGAIN = "flux_duet_again"


def with_wrapper(options: dict, kind: str, key: str, wrapper: Callable) -> dict:
    """transformer_options with one more wrapper, the innermost of its kind."""
    wrappers = options.get("wrappers", {})
    return {**options, "wrappers": {**wrappers, kind: {**wrappers.get(kind, {}), key: [wrapper]}}}
