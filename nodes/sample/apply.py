"""Carries out controls, by wrappers around FLUX.1's sampling run and forward. Imports ComfyUI.

The wrappers are on a clone of the MODEL and do not change prompts without controls. There are three:

* around the whole run: adapts controls to prompts that native nodes have changed, and raises for invalid ones;
* around the evaluation of all prompts at one moment: evaluates timelines and ranges;
* around Flux.forward, inside of wrappers that may skip it (EasyCache): changes attention and modulation, and appends
  placed texts to `txt`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..compat import guiders, patches
from ..compat.flux_model import scale_attention_mask, transformer_in
from ..compat.sampling import percent_to_sigma_in, sigma_max
from ..compat.wrappers import CALC_COND_BATCH, DIFFUSION_MODEL, OUTER_SAMPLE, set_wrapper, with_wrapper
from ..condition import attn_masks
from ..condition.blocks import Depth
from ..condition.controls import (
    KEY,
    ActiveRange,
    Control,
    Nag,
    PlacedText,
    VecDelta,
    controls_of,
    put_controls,
    ready_entry,
    take_controls,
)
from ..condition.reconcile import reconciled
from ..condition.time.at_moment import resolve
from ..condition.timepoints import Clock, Moment
from ..family import require_flux1, require_plane
from ..keys import (
    AREA,
    C_CROSSATTN,
    CROSS_ATTN,
    MASK,
    MODEL_CONDS,
    OPTIONS,
    OVERRIDE,
    POOLED,
    SAMPLE_SIGMAS,
    SIGMA_END,
    SIGMA_START,
    Y,
)
from ..notice import warn
from .attention import CONTEXT, DuetAttention
from .attention_groups import TokenLayout, append_texts, cropped
from .attention_plans import Plans, Same
from .modulation import VecDeltas
from .step_notes import step_notes
from .table.call import Call
from .table.run import KEY as TABLE
from .table.run import table_of

# In transformer_options. REACHED: a Reached, for an evaluation with controls. PLANS: the run's Plans. BASE: the
# BaseModel, for a run with a table.
REACHED, PLANS, BASE = "flux_duet_reached", "flux_duet_plans", "flux_duet_base"


def attach(model, first_step: int = 0, node: str = "Apply Duet", with_table: bool = False):
    """A clone of a MODEL that carries out the controls in its CONDITIONING. Applying it twice has no further effect.

    `first_step` is the number of the run's first step, if it continues another sampler's run. `with_table` gives its
    runs a modulation table. Raises ValueError, with the node's name `node`, for a model that is not FLUX.1 or exposes
    no blocks.
    """
    require_flux1(model, node)
    model = model.clone()
    if with_table:
        patches.attach(model, TABLE, True)  # no patch, so caches know the model as the same one
    for kind, wrapper in ((OUTER_SAMPLE, _begin), (CALC_COND_BATCH, _settle)):
        set_wrapper(model, kind, KEY, partial(wrapper, first_step))
    return model


# ---- before a run


def _begin(first_step: int, executor, noise, latent_image, sampler, sigmas, *args, **kwargs):
    """Wrapper around a whole run. The guider's `conds` are copies for this run, so they can be replaced."""
    guider = guiders.wrapped_object(executor)
    conds = guiders.conds_of(guider)
    found = {name: [_reconciled(entry) for entry in cond] for name, cond in conds.items() if cond is not None}
    controls = [each for cond in found.values() for entry in cond for each in controls_of(entry)]
    if controls:
        require_plane(latent_image, "Flux Duet")
    full = sigma_max(guiders.model_of(guider))
    if notes := "\n".join(step_notes(controls, sigmas, first_step, full)):
        warn(notes)
    conds.update(found)
    given = guiders.options_of(guider)
    with table_of(guider, notes) as table:
        guiders.set_options(guider, {**given, OPTIONS: {**given.get(OPTIONS, {}), PLANS: Plans(), TABLE: table}})
        try:
            return executor(noise, latent_image, sampler, sigmas, *args, **kwargs)
        finally:
            guiders.set_options(guider, given)


def _reconciled(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry, as ComfyUI's samplers hold it before a run, with controls adapted to its present txt and vec.

    Raises ValueError if they cannot be adapted.
    """
    if not controls_of(entry):
        return entry
    rest, controls = reconciled(entry[CROSS_ATTN], entry.get(POOLED), entry)
    attn_masks.take_mask(rest, entry[CROSS_ATTN].shape[1])  # raises for a mask of another size
    return {MODEL_CONDS: {}, **put_controls(rest, controls)}


# ---- at a moment of the run


class Reached:
    """Whether an evaluation has reached the innermost wrapper, `_carry_out`."""

    def __init__(self):
        self.yes = False


def _settle(first_step: int, executor, model, conds, x_in, timestep, model_options):
    """Wrapper around the evaluation of all prompts: evaluates each prompt's controls at this moment."""
    options = model_options.get(OPTIONS, {})
    if options.get(TABLE) is not None:
        options = {**_innermost(options), BASE: model}
        model_options = {**model_options, OPTIONS: options}
    if not any(controls_of(entry) for cond in conds if cond is not None for entry in cond):
        return executor(model, conds, x_in, timestep, model_options)
    sigmas, plans = options.get(SAMPLE_SIGMAS), options.get(PLANS) or Plans()
    levels = None if sigmas is None else plans.get(("levels", Same(sigmas)), sigmas.tolist)
    moment = Moment(float(timestep[0]), Clock(levels, percent_to_sigma_in(model), first_step))
    settled = [
        None if cond is None else [_at(moment, entry, x_in, plans) for entry in cond if _is_active(moment, entry)]
        for cond in conds
    ]
    inactive = [number for number, cond in enumerate(conds) if cond and not settled[number]]
    evaluated = [None if number in inactive else cond for number, cond in enumerate(settled)]
    reached = Reached()
    options = {**_innermost(options), REACHED: reached}
    out = executor(model, evaluated, x_in, timestep, {**model_options, OPTIONS: options})
    expected = any(_is_in_range(entry, moment.sigma) for cond in evaluated if cond for entry in cond)
    if expected and not reached.yes and moment.is_first:  # later evaluations may be skipped by EasyCache
        raise ValueError(_NOT_REACHED.format(type(transformer_in(model)).__name__))
    return _filled(out, inactive, [number for number, cond in enumerate(evaluated) if cond])


def _is_in_range(entry: Mapping[str, Any], sigma: float) -> bool:
    """Whether ComfyUI evaluates an entry at this sigma (comfy/samplers.py, get_area_and_mult)."""
    return entry.get(SIGMA_START, math.inf) >= sigma >= entry.get(SIGMA_END, 0.0)


_NOT_REACHED = (
    "This CONDITIONING has controls, but they were not carried out: another pack has replaced the forward of the model "
    "({}) and does not call ComfyUI's wrappers. Some packs replace it in all workflows until ComfyUI is restarted "
    "(Fluxtapoz' Configure Modified Flux). Remove that node and restart ComfyUI, or remove the controls."
)


def _is_active(moment: Moment, entry: Mapping[str, Any]) -> bool:
    return all(each.when.holds(moment) for each in controls_of(entry) if isinstance(each, ActiveRange))


def _at(moment: Moment, entry: Mapping[str, Any], x: Tensor, plans: Plans) -> Mapping[str, Any]:
    """An entry, as ComfyUI has prepared it for sampling, with vec, txt and controls evaluated at this moment.

    `x` [B, C, H, W] is the whole latent; the entry may be for an area of it.
    """
    cond = take_controls(entry)[1]
    if cond is None or cond.is_ready:
        return entry
    _, controls = reconciled(entry[CROSS_ATTN], entry.get(POOLED), entry)
    given = entry[MODEL_CONDS]
    lasting = tuple(each for each in controls if not isinstance(each, ActiveRange))
    now = resolve(given[Y].cond if Y in given else None, given[C_CROSSATTN].cond, lasting, moment)
    changed = {**given, C_CROSSATTN: type(given[C_CROSSATTN])(now.txt)}
    if now.vec is not None:
        changed[Y] = type(given[Y])(now.vec)
    if MASK in given and now.replaced is not None:
        changed[MASK] = type(given[MASK])(attn_masks.replaced(given[MASK].cond, *now.replaced))
    controls = tuple(_on_device(_within(each, entry.get(AREA), x), x.device, plans) for each in now.controls)
    return ready_entry({**entry, MODEL_CONDS: changed}, controls)


def _within(control, area, x: Tensor):
    """A control whose mask, for the whole picture, is cropped to the entry's area (h, w, y, x) of the latent."""
    if area is None or not isinstance(control, PlacedText) or control.mask is None:
        return control
    return replace(control, mask=cropped(control.mask, tuple(x.shape[2:]), area))


def _on_device(control: Control, device: torch.device, plans: Plans) -> Control:
    """A control whose texts or vectors are on the device, to which they are moved once in a run."""
    name = {PlacedText: "rows", Nag: "rows", VecDelta: "vecs"}.get(type(control))
    if name is None:
        return control
    given = getattr(control, name)
    return replace(control, **{name: plans.get((name, Same(given), device), partial(given.to, device))})


def _filled(out: list, inactive: list[int], evaluated: list[int]) -> list:
    """Predictions, where an inactive prompt gets that of the first evaluated one, so that CFG has no effect."""
    if inactive and not evaluated:
        raise ValueError(
            "At this step no prompt is active: all are limited to other steps (Limit Prompt to Steps). Limit only the "
            "negative prompt, or widen a range."
        )
    return [out[evaluated[0]].clone() if number in inactive else each for number, each in enumerate(out)]


def _innermost(options: dict) -> dict:
    """transformer_options with our wrapper as the innermost around Flux.forward."""
    return with_wrapper(options, DIFFUSION_MODEL, KEY, _carry_out)


# ---- around a forward


def _carry_out(executor, x, timestep, context, y=None, guidance=None, ref_latents=None, control=None,
               transformer_options=None, **kwargs):  # fmt: skip
    """Wrapper around Flux.forward, with its arguments."""
    controls = kwargs.pop(KEY, ())
    options = transformer_options or {}
    if REACHED in options:
        options[REACHED].yes = True
    acting, deltas, served = [], None, options
    flux = guiders.wrapped_object(executor)
    if controls:
        depth = Depth.of(flux)
        texts = [each for each in controls if isinstance(each, PlacedText)]
        if texts:
            context = append_texts(context, texts)
            options = {**options, CONTEXT: context}
        layout = _layout(x, context, flux.patch_size)
        attention = DuetAttention(controls, layout, depth, options.get(OVERRIDE), options.get(PLANS))
        deltas = VecDeltas([each for each in controls if isinstance(each, VecDelta)], y, flux.vector_in, depth)
        kwargs = _with_masks(kwargs, texts, context, layout)
        acting = [each for each in (attention, deltas) if not each.idle]
        options = options if attention.idle else {**options, OVERRIDE: attention}
        options = options if deltas.idle else deltas.patched(options)
    with _table(served, Call(flux, x, timestep, y, guidance, deltas)):
        velocity = executor(x, timestep, context, y, guidance, ref_latents, control, options, **kwargs)
    if not all(each.called for each in acting):
        raise ValueError(
            "The controls in this prompt had no effect: this model's blocks use neither ComfyUI's attention nor its "
            "hooks. Another node has replaced them; remove that node, or the controls."
        )
    return velocity


def _table(options: dict, call: Call) -> AbstractContextManager[None]:
    """What serves a forward from the run's table, if it has one. `options` are without our own block patches."""
    table = options.get(TABLE)
    return nullcontext() if table is None else table.serving(options[BASE], call, options)


def _with_masks(
    kwargs: dict[str, Any], texts: list[PlacedText], context: Tensor, layout: TokenLayout
) -> dict[str, Any]:
    """A forward's keyword arguments, with the attention mask extended to the appended texts."""
    size = layout.height, layout.width

    def of(text: PlacedText) -> Tensor | None:
        if text.attn_mask is None or text.attn_size is None:
            return text.attn_mask
        return scale_attention_mask(text.attn_mask, text.attn_size, size).to(context)

    rows = layout.txt - sum(text.length for text in texts)
    mask = attn_masks.with_texts(kwargs.get(MASK), rows, layout.image, [(text.length, of(text)) for text in texts])
    return kwargs if mask is None else {**kwargs, MASK: mask}


def _layout(x, context, patch: int) -> TokenLayout:
    height, width = (-(-side // patch) for side in x.shape[2:])  # rounded up, as Flux pads its latent
    return TokenLayout(context.shape[1], height, width)
