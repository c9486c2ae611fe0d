"""What a run's guider holds, and what wrappers stand around. Imports ComfyUI.

A GUIDER is a CFGGuider (sampling.py) or another pack's object with the same attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy.patcher_extension import WrapperExecutor


def wrapped_object(executor: WrapperExecutor) -> Any:
    """Whose method a wrapper stands around: the guider for OUTER_SAMPLE, Flux for DIFFUSION_MODEL."""
    return executor.class_obj


def model_of(guider):
    """The MODEL that a guider samples with."""
    return guider.model_patcher


def set_model(guider, model) -> None:
    """Exchanges the MODEL that a guider samples with, before its run loads it."""
    guider.model_patcher = model


def base_model_of(guider):
    """The BaseModel that a guider samples with; it is there only during a run."""
    return guider.inner_model


def conds_of(guider) -> dict[str, list | None]:
    """A guider's prompts by name ("positive", "negative" ...), each a list of entries; {} for one that shows none.

    A change of this dict acts on the run.
    """
    return getattr(guider, "conds", {})


def cfg_of(guider) -> float | None:
    """True CFG's scale; None for a guider that has no single one."""
    return getattr(guider, "cfg", None)


def options_of(guider) -> dict[str, Any]:
    """The model_options of a guider's run."""
    return guider.model_options


def set_options(guider, options: Mapping[str, Any]) -> None:
    """Exchanges the model_options of a guider's run."""
    guider.model_options = options
