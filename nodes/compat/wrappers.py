"""The points around which a run can be wrapped, and how wrappers are put there. Imports ComfyUI.

A wrapper is called with an executor, then with the arguments of what it stands around:
    OUTER_SAMPLE     executor(noise, latent_image, sampler, sigmas, ...); `class_obj` is the guider
    CALC_COND_BATCH  executor(model, conds, x, timestep, model_options)
    APPLY_MODEL      executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)
    DIFFUSION_MODEL  executor(x, timestep, context, y, guidance, ref_latents, control, transformer_options, **kwargs);
                     `class_obj` is Flux
The first to be added is the outermost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from comfy.patcher_extension import WrappersMP

OUTER_SAMPLE = WrappersMP.OUTER_SAMPLE
CALC_COND_BATCH = WrappersMP.CALC_COND_BATCH
APPLY_MODEL = WrappersMP.APPLY_MODEL
DIFFUSION_MODEL = WrappersMP.DIFFUSION_MODEL


def set_wrapper(model, kind: str, key: str, wrapper: Callable) -> None:
    """Puts a wrapper on a MODEL of our own (a clone), in place of any under the same key."""
    model.remove_wrappers_with_key(kind, key)
    model.add_wrapper_with_key(kind, key, wrapper)


def with_wrapper(options: Mapping, kind: str, key: str, wrapper: Callable, outermost: bool = False) -> dict:
    """transformer_options with one more wrapper: the innermost of its kind, or the outermost."""
    wrappers = options.get("wrappers", {})
    others, own = wrappers.get(kind, {}), {key: [wrapper]}
    return {**options, "wrappers": {**wrappers, kind: {**own, **others} if outermost else {**others, **own}}}
