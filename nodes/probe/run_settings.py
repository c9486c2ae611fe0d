"""All settings of a run except its prompts, so that a reading can be repeated. Imports ComfyUI.

`model` is the digest of the file's content, LoRAs and settings (grid/identity.py), None if unknown.
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
    """Settings of pictures that a node sampled by a plan."""
    given = {"seed": plan.seed, "sampler": plan.sampler, "scheduler": plan.scheduler, "steps": plan.steps,
             "cfg": plan.cfg}  # fmt: skip
    return _settings(model, latent[SAMPLES].shape, guidance, given)


def of_run(guider, shape: Sequence[int], sampler, sigmas: torch.Tensor, seed: int | None) -> dict[str, Any]:
    """Settings of a run of any sampler, read as it begins."""
    given = {
        "seed": seed,
        "sampler": solver_name(sampler).removeprefix("sample_"),
        "sigmas": sigmas.tolist(),
        "cfg": guiders.cfg_of(guider),
    }
    guidance = guidance_of(guiders.conds_of(guider).get(POSITIVE, []))
    return _settings(guiders.model_of(guider), shape, guidance, given)


def guidance_of(entries: Sequence[Any]) -> float | None | list:
    """The guidance of a CONDITIONING or of a guider's entries; a list if it differs between entries, None if unset."""
    several = [(each[1] if isinstance(each, list | tuple) else each).get(GUIDANCE) for each in entries]
    values = [*dict.fromkeys(None if each is None else float(each) for each in several)]
    return values if len(values) > 1 else values[0] if values else None


def _settings(model, shape: Sequence[int], guidance: float | None | list, given: Mapping[str, Any]) -> dict[str, Any]:
    return {"latent": list(shape), "guidance": guidance, **given, "model": of_model(model), "versions": versions()}


@functools.cache
def versions() -> dict[str, str]:
    text = PROJECT.read_text(encoding="utf-8") if PROJECT.is_file() else ""
    found = re.search(r'^version = "(.+)"', text, re.MULTILINE)
    return {"flux_duet": found[1] if found else "unknown", "comfyui": version(),
            "torch": torch.__version__, "python": platform.python_version()}  # fmt: skip
