"""What a reading depends on beside its prompts, so that it can be repeated: one form for every probe. Imports ComfyUI.

`model` is grid.identity's digest of the file's content, LoRAs and settings, null where that cannot be told.
"""

from __future__ import annotations

import functools
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..compat import guiders
from ..compat.machine import version
from ..compat.sampling import solver_name
from ..keys import GUIDANCE, SAMPLES
from ..sample.sampling import SamplingPlan
from .entries import POSITIVE
from .grid.identity import of_model

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def of_plan(model, plan: SamplingPlan, latent: Mapping[str, Any], guidance: float | None | list) -> dict[str, Any]:
    """Of pictures that a node has sampled by a plan."""
    given = {"seed": plan.seed, "sampler": plan.sampler, "scheduler": plan.scheduler, "steps": plan.steps,
             "cfg": plan.cfg}  # fmt: skip
    return _told(model, latent[SAMPLES].shape, guidance, given)


def of_run(guider, shape: Sequence[int], sampler, sigmas: torch.Tensor, seed: int | None) -> dict[str, Any]:
    """Of a run of any sampler, as it begins. A prompt of several parts has a guidance for each."""
    given = {
        "seed": seed,
        "sampler": solver_name(sampler).removeprefix("sample_"),
        "sigmas": [float(sigma) for sigma in sigmas],
        "cfg": guiders.cfg_of(guider),
    }
    guidance = guidance_of(guiders.conds_of(guider).get(POSITIVE, []))
    return _told(guiders.model_of(guider), shape, guidance, given)


def guidance_of(entries: Sequence[Any]) -> float | None | list:
    """Of a CONDITIONING, or of what a guider has made of one: its number, or all where its parts differ."""
    several = [(each[1] if isinstance(each, list | tuple) else each).get(GUIDANCE) for each in entries]
    values = [*dict.fromkeys(None if each is None else float(each) for each in several)]
    return values if len(values) > 1 else values[0] if values else None


def _told(model, shape: Sequence[int], guidance: float | None | list, given: Mapping[str, Any]) -> dict[str, Any]:
    return {"latent": list(shape), "guidance": guidance, **given, "model": of_model(model), "versions": versions()}


@functools.cache
def versions() -> dict[str, str]:
    text = PROJECT.read_text(encoding="utf-8") if PROJECT.is_file() else ""
    found = re.search(r'^version = "(.+)"', text, re.MULTILINE)
    return {"flux_duet": found[1] if found else "unknown", "comfyui": version(),
            "torch": torch.__version__, "python": platform.python_version()}  # fmt: skip
