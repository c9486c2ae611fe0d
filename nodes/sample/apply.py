"""Carries controls out: the one set of wrappers around FLUX.1's forward. Imports ComfyUI.

The wrappers sit on a clone of the MODEL and do nothing to a prompt that has no controls. One of them stands around the
evaluation of all prompts at a moment: there, what changes with time is settled. The other stands right around the
forward of a batch, inside of whatever may leave it out (EasyCache): there, attention and modulation are changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from comfy.patcher_extension import WrappersMP

from ..condition.controls import KEY, MODEL_CONDS, Only, Shift, ready, take
from ..condition.place.texts import Layout
from ..condition.time.clock import Clock, Moment
from ..condition.time.resolving import resolve
from .attention import DuetAttention
from .family import require_flux1
from .modulation import Shifts

OVERRIDE = "optimized_attention_override"  # ComfyUI calls it instead of its attention, with q, k, v after RoPE
TXT, VEC = "c_crossattn", "y"  # ComfyUI's names for what Flux is given


def attach(model, first_step: int = 0, node: str = "Apply Duet"):
    """A clone of a MODEL that carries out the controls in its CONDITIONING. Twice is as once.

    `first_step` is the number of the run's first step, where another sampler took those before. Raises ValueError, in
    the name of `node`, for a model that is not FLUX.1, or shows no blocks to act on.
    """
    require_flux1(model, node)
    model = model.clone()
    model.remove_wrappers_with_key(WrappersMP.CALC_COND_BATCH, KEY)
    model.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, KEY, partial(_settle, first_step))
    return model


# ---- at a moment of the run


def _settle(first_step: int, executor, model, conds, x_in, timestep, model_options):
    """Around the evaluation of all prompts: each becomes what it is at this moment."""
    if not any(_controls(entry) for cond in conds if cond is not None for entry in cond):
        return executor(model, conds, x_in, timestep, model_options)
    options = model_options.get("transformer_options", {})
    sigmas = options.get("sample_sigmas")
    clock = Clock(None if sigmas is None else sigmas.tolist(), model.model_sampling.percent_to_sigma, first_step)
    moment = Moment(float(timestep[0]), clock)
    settled = [
        None if cond is None else [_at(moment, entry) for entry in cond if _counts(moment, entry)] for cond in conds
    ]
    resting = [number for number, cond in enumerate(conds) if cond and not settled[number]]
    wanted = [None if number in resting else cond for number, cond in enumerate(settled)]
    out = executor(model, wanted, x_in, timestep, {**model_options, "transformer_options": _innermost(options)})
    return _filled(out, resting, [number for number, cond in enumerate(wanted) if cond])


def _controls(entry: Mapping[str, Any]) -> tuple:
    return take(entry)[1]


def _counts(moment: Moment, entry: Mapping[str, Any]) -> bool:
    return all(each.when.holds(moment) for each in _controls(entry) if isinstance(each, Only))


def _at(moment: Moment, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry as ComfyUI has prepared it for sampling, with vec, txt and controls of this moment."""
    controls = tuple(each for each in _controls(entry) if not isinstance(each, Only))
    if not _controls(entry):
        return entry
    given = entry[MODEL_CONDS]
    old_vec = given[VEC].cond if VEC in given else None
    vec, txt, controls = resolve(old_vec, given[TXT].cond, controls, moment)
    changed = {**given, TXT: type(given[TXT])(txt)}
    if vec is not None:
        changed[VEC] = type(given[VEC])(vec)
    return ready({**entry, MODEL_CONDS: changed}, controls)


def _filled(out: list, resting: list[int], asked: list[int]) -> list:
    """A prompt that rests gives what the first other one gives, so that guidance has nothing to push away from."""
    if resting and not asked:
        raise ValueError(
            "At this moment of the run no prompt is left: all of them are limited to other parts of it (Prompt for a "
            "Part of the Run). Limit the negative alone, or widen a range."
        )
    return [out[asked[0]].clone() if number in resting else each for number, each in enumerate(out)]


def _innermost(options: dict) -> dict:
    """transformer_options whose last wrapper around the forward is ours."""
    wrappers = options.get("wrappers", {})
    around = {**wrappers.get(WrappersMP.DIFFUSION_MODEL, {}), KEY: [_carry_out]}
    return {**options, "wrappers": {**wrappers, WrappersMP.DIFFUSION_MODEL: around}}


# ---- around a forward


def _carry_out(executor, x, timestep, context, y=None, guidance=None, ref_latents=None, control=None,
               transformer_options=None, **kwargs):  # fmt: skip
    """Around Flux.forward, whose arguments these are."""
    controls = kwargs.pop(KEY, ())
    options = transformer_options or {}
    acting = []
    if controls:
        flux = executor.class_obj
        depth = len(flux.double_blocks), len(flux.single_blocks)
        attention = DuetAttention(controls, _layout(x, context, flux.patch_size), depth, options.get(OVERRIDE))
        shifts = Shifts([each for each in controls if isinstance(each, Shift)], y, flux.vector_in, depth)
        acting = [each for each in (attention, shifts) if not each.idle]
        options = options if attention.idle else {**options, OVERRIDE: attention}
        options = options if shifts.idle else shifts.patched(options)
    velocity = executor(x, timestep, context, y, guidance, ref_latents, control, options, **kwargs)
    if not all(each.called for each in acting):
        raise ValueError(
            "The controls in this prompt had no effect: this model's blocks use neither ComfyUI's attention nor its "
            "hooks. Another node has replaced them; remove it, or the controls."
        )
    return velocity


def _layout(x, context, patch: int) -> Layout:
    height, width = (-(-side // patch) for side in x.shape[2:])  # rounded up, as Flux pads its latent
    return Layout(context.shape[1], height, width)
