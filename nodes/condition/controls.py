"""Controls: what a prompt asks of the model beyond ComfyUI's own, as data in its CONDITIONING. Pure torch.

A CONDITIONING's entry may carry `model_conds`, values that ComfyUI's samplers hand to the model beside the prompt, a
row for each picture. Ours is one of them, so it belongs to its prompt alone and survives native nodes. A model that
does not carry controls out would take it in silence; so it refuses to be handed over until `armed` by sample/apply.py,
the one place where controls are carried out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

KEY = "flux_duet"  # among model_conds, and among the keyword arguments of Flux's forward
MODEL_CONDS = "model_conds"


@dataclass(frozen=True, eq=False)
class Controls:
    """Plain data, a row for each prompt of a batch.

    `bias` [B, L] is added to every attention logit of the first L text columns, in every block: the logarithm of the
    tokens' weights (facts: weight 2 is the token twice, weight 0 is no token).
    """

    bias: Tensor

    def repeated(self, count: int) -> Controls:
        """As many rows as a batch has pictures, as ComfyUI's repeat_to_batch_size does it."""
        times = math.ceil(count / self.bias.shape[0])
        return replace(self, bias=self.bias.repeat(times, 1)[:count])

    def fits(self, other: Controls) -> bool:
        return self.bias.shape[1:] == other.bias.shape[1:]

    @staticmethod
    def joined(parts: Sequence[Controls]) -> Controls:
        return Controls(torch.cat([part.bias for part in parts]))


@dataclass(frozen=True, eq=False)
class ControlCond:
    """Controls in the form in which ComfyUI batches what a model is given; see comfy/conds.py, CONDRegular."""

    controls: Controls
    armed: bool = False

    def process_cond(self, batch_size: int, **_) -> ControlCond:
        if not self.armed:
            raise ValueError(
                "This CONDITIONING weights T5 tokens in the attention, and the model that it reached does not carry "
                "that out. Put Apply Duet between the model and this sampler, use MMDiT Sampler, or set `weights` of "
                "T5 Encode to 'embedding'."
            )
        return replace(self, controls=self.controls.repeated(batch_size))

    def can_concat(self, other: Any) -> bool:
        return isinstance(other, ControlCond) and self.controls.fits(other.controls)

    def concat(self, others: Sequence[ControlCond]) -> Controls:
        return Controls.joined([self.controls, *(other.controls for other in others)])

    def size(self) -> list[int]:
        return list(self.controls.bias.shape)


def put(extras: Mapping[str, Any], controls: Controls) -> dict[str, Any]:
    """The extras of a CONDITIONING's entry, with these controls among them."""
    return {**extras, MODEL_CONDS: {**extras.get(MODEL_CONDS, {}), KEY: ControlCond(controls)}}


def take(extras: Mapping[str, Any]) -> tuple[dict[str, Any], Controls | None]:
    """The extras without controls, and the controls, if there were any."""
    conds = dict(extras.get(MODEL_CONDS, {}))
    cond = conds.pop(KEY, None)
    rest = {key: value for key, value in extras.items() if key != MODEL_CONDS}
    return {**rest, MODEL_CONDS: conds} if conds else rest, cond and cond.controls


def armed(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry whose controls, if it has any, may be handed to a model."""
    cond = entry.get(MODEL_CONDS, {}).get(KEY)
    if cond is None:
        return entry
    return {**entry, MODEL_CONDS: {**entry[MODEL_CONDS], KEY: replace(cond, armed=True)}}


def asked_for(conditioning: Sequence) -> bool:
    """Whether any entry of a CONDITIONING has controls."""
    return any(KEY in entry.get(MODEL_CONDS, {}) for _, entry in conditioning)
