"""Carries controls out: the one set of wrappers around FLUX.1's forward. Imports ComfyUI.

The wrappers sit on a clone of the MODEL and do nothing to a prompt that has no controls.
"""

from __future__ import annotations

import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..condition.controls import KEY, Controls, armed

OVERRIDE = "optimized_attention_override"  # ComfyUI calls it instead of its attention, with q, k, v after RoPE


def flux_params(model):
    """The sizes of a FLUX.1 transformer, or None for another model or an opaque wrapper."""
    params = getattr(model.get_model_object("diffusion_model"), "params", None)
    return params if getattr(params, "vec_in_dim", None) is not None else None


def attach(model):
    """A clone of a MODEL that carries out the controls in its CONDITIONING. Twice is as once.

    Raises ValueError for a model whose text is not FLUX.1's.
    """
    if flux_params(model) is None:
        raise ValueError(
            f"Apply Duet: got a model of {type(model.model).__name__}, expected FLUX.1, whose T5 tokens stand first "
            "among those that its blocks attend to. Wrapped models (nunchaku and others) show no attention to act on."
        )
    model = model.clone()
    for kind, wrapper in ((WrappersMP.CALC_COND_BATCH, _arm), (WrappersMP.DIFFUSION_MODEL, _carry_out)):
        model.remove_wrappers_with_key(kind, KEY)
        model.add_wrapper_with_key(kind, KEY, wrapper)
    return model


def _arm(executor, model, conds, x_in, timestep, model_options):
    ready = [None if cond is None else [armed(entry) for entry in cond] for cond in conds]
    return executor(model, ready, x_in, timestep, model_options)


def _carry_out(executor, x, timestep, context, y=None, guidance=None, ref_latents=None, control=None,
               transformer_options=None, **kwargs):  # fmt: skip
    """Around Flux.forward, whose arguments these are."""
    controls = kwargs.pop(KEY, None)
    options = transformer_options or {}
    if controls is None:
        return executor(x, timestep, context, y, guidance, ref_latents, control, options, **kwargs)
    biased = BiasedAttention(controls, options.get(OVERRIDE))
    options = {**options, OVERRIDE: biased}
    velocity = executor(x, timestep, context, y, guidance, ref_latents, control, options, **kwargs)
    if not biased.called:
        raise ValueError(
            "T5 weights had no effect: this model's blocks do not use ComfyUI's attention. Another node has replaced "
            "them; remove it, or set `weights` of T5 Encode to 'embedding'."
        )
    return velocity


class BiasedAttention:
    """ComfyUI's attention with a bias on text columns, for one forward.

    A row of biases [B, 1, 1, L] serves all heads and queries, so that no L x L mask is ever made; text stands first
    among the columns in double and in single blocks (comfy/ldm/flux/layers.py).
    """

    def __init__(self, controls: Controls, inner=None):
        self.bias, self.inner, self.called = controls.bias, inner, False
        self._row: Tensor | None = None

    def __call__(self, attention, q, k, v, *args, mask=None, **kwargs):
        self.called = True
        row = self._row_for(k)
        mask = row if mask is None else _with_heads(mask, q.dtype) + row
        if self.inner is not None:
            return self.inner(attention, q, k, v, *args, mask=mask, **kwargs)
        return attention(q, k, v, *args, mask=mask, **kwargs)

    def _row_for(self, k: Tensor) -> Tensor:
        columns = k.shape[2]
        if self._row is None or self._row.shape[-1] != columns or self._row.device != k.device:
            bias = self.bias.to(device=k.device, dtype=k.dtype)
            self._row = torch.nn.functional.pad(bias, (0, columns - bias.shape[1]))[:, None, None]
        return self._row


def _with_heads(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Any mask that ComfyUI's attention takes, as [B or 1, heads or 1, queries, columns] to be added to logits."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, -torch.inf)
    return mask if mask.ndim == 4 else mask.unsqueeze(1) if mask.ndim == 3 else mask[None, None]
