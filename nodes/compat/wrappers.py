"""The wrapper points of a sampling run, and how to add wrappers. Imports ComfyUI.

A wrapper is called with an executor, then with the arguments of the wrapped function:
    OUTER_SAMPLE     executor(noise, latent_image, sampler, sigmas, ...); `class_obj` is the guider
    CALC_COND_BATCH  executor(model, conds, x, timestep, model_options)
    APPLY_MODEL      executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)
    DIFFUSION_MODEL  executor(x, timestep, context, y, guidance, ref_latents, control, transformer_options, **kwargs);
                     `class_obj` is Flux
The wrapper that was added first is the outermost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from comfy.patcher_extension import WrappersMP

OUTER_SAMPLE = WrappersMP.OUTER_SAMPLE
CALC_COND_BATCH = WrappersMP.CALC_COND_BATCH
APPLY_MODEL = WrappersMP.APPLY_MODEL
DIFFUSION_MODEL = WrappersMP.DIFFUSION_MODEL


def set_wrapper(model, kind: str, key: str, wrapper: Callable) -> None:
    """Sets the wrapper under this key on a MODEL, which must be the caller's own clone."""
    model.remove_wrappers_with_key(kind, key)
    model.add_wrapper_with_key(kind, key, wrapper)


def with_wrapper(options: Mapping, kind: str, key: str, wrapper: Callable, outermost: bool = False) -> dict:
    """A copy of transformer_options with one more wrapper: the innermost of its kind, or the outermost."""
    wrappers = options.get("wrappers", {})
    others, own = wrappers.get(kind, {}), {key: [wrapper]}
    return {**options, "wrappers": {**wrappers, kind: {**own, **others} if outermost else {**others, **own}}}
