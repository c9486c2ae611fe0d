"""POST /flux_duet/sigmas: a run's noise levels, requested for a timeline's ruler. Imports ComfyUI."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from aiohttp import web

from ..compat import sampling as core
from ..flux1_sizes import PIXEL
from ..sample.choices import OFFICIAL, SCHEDULERS
from ..sample.sampling import noise_levels
from ..sample.schedule import FIXED_MU, flux_sigmas, image_tokens, official_mu
from .http import Refused, answered, shown

SAMPLERS = core.sampler_names()
LONGEST = 2500  # steps of the schedule before denoise
DEFAULTS = {"steps": 20, "sampler": "euler", "scheduler": "simple", "denoise": 1.0, "shift": FIXED_MU,
            "width": 1024, "height": 1024}  # fmt: skip
CHOICES = {"sampler": SAMPLERS, "scheduler": SCHEDULERS}
LIMITS = {"denoise": (0.0001, 1), "shift": (-10, 100), "mu": (-10, 100)}
COUNTS = {"steps": (1, LONGEST), "width": (16, 2**17), "height": (16, 2**17)}


async def sigmas(request: web.Request) -> web.Response:
    return await answered(request, checked, _answer)


def checked(body: Any) -> dict[str, Any]:
    """All fields of a request, with defaults for missing ones. Raises Refused for an invalid body.

    `shift` is the model's, null for a model without one, such as schnell. `mu` is the official schedule's; if missing,
    it follows from width and height.
    """
    if not isinstance(body, dict):
        raise Refused(400, "expected a JSON object")
    if unknown := sorted(body.keys() - DEFAULTS.keys() - {"mu"}):
        raise Refused(400, f"got the unknown field {unknown[0][:40]!r}; expected {', '.join(DEFAULTS)}, mu")
    plan = {**DEFAULTS, **body}
    for name, choices in CHOICES.items():
        if plan[name] not in choices:
            raise Refused(400, f"got {shown(plan[name])} for `{name}`; expected one of {', '.join(choices)}")
    for name, (least, most) in (LIMITS | COUNTS).items():
        value = plan.get(name)
        if value is None and name in ("shift", "mu"):
            continue
        kind = (int,) if name in COUNTS else (int, float)
        if type(value) not in kind or not least <= value <= most:  # also for NaN and for integers too large for a float
            raise Refused(400, f"got {shown(value)} for `{name}`; expected a number from {least} to {most}")
    if plan["steps"] / plan["denoise"] > LONGEST:
        raise Refused(400, f"got {plan['steps']} steps with denoise {plan['denoise']}: the whole schedule would have "
                           f"more than {LONGEST} steps")  # fmt: skip
    return plan


def _answer(plan: dict[str, Any]) -> dict:
    found = noise_levels(partial(_schedule, plan), plan["sampler"], plan["steps"], plan["denoise"])
    return {"sigmas": [round(sigma, 9) for sigma in found.tolist()]}


def _schedule(plan: dict[str, Any], steps: int) -> torch.Tensor:
    if plan["scheduler"] != OFFICIAL:
        return core.schedule_sigmas(_sampling(plan["shift"]), plan["scheduler"], steps)
    if "mu" in plan or plan["shift"] is None:
        return flux_sigmas(steps, plan.get("mu"))
    return flux_sigmas(steps, official_mu(image_tokens(plan["height"] // PIXEL, plan["width"] // PIXEL)))


def _sampling(shift: float | None):
    """ComfyUI's model_sampling for dev (with a shift) or schnell (None)."""
    return core.flow_sampling() if shift is None else core.flux_sampling(shift)
