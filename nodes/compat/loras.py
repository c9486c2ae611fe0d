"""LoRA files as ComfyUI's own loader reads them, and the patches that it makes of them. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import comfy.lora
import comfy.lora_convert
import comfy.model_management
import comfy.model_patcher
import comfy.weight_adapter
import torch
from comfy.weight_adapter import GLoRAAdapter, LoHaAdapter, LoKrAdapter, LoRAAdapter
from comfy.weight_adapter.boft import BOFTAdapter
from comfy.weight_adapter.oft import OFTAdapter
from torch import Tensor

from .patches import ModelPatcher

__all__ = ["BOFTAdapter", "GLoRAAdapter", "LoHaAdapter", "LoKrAdapter", "LoRAAdapter", "OFTAdapter", "clip_names",
           "converted", "model_names", "patch_weight", "patches_by_name", "plain_weight", "put_patches",
           "weight_key"]  # fmt: skip


class _Asked(dict):
    """A state dict that notes which of its tensors are taken."""

    def __init__(self, weights: Mapping[str, Tensor]):
        super().__init__(weights)
        self.taken: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.taken.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default=None):
        if name in self:
            self.taken.add(name)
        return super().get(name, default)


def converted(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A LoRA file's tensors under the names that `patches_by_name` knows; most formats keep theirs."""
    return comfy.lora_convert.convert_lora(weights)


def model_names(model: ModelPatcher) -> dict[str, Any]:
    """Every name of a layer in a LoRA file that ComfyUI knows for a MODEL, with the key of the patch for it."""
    return comfy.lora.model_lora_keys_unet(model.model, {})


def clip_names(clip) -> dict[str, Any]:
    """The same for a CLIP."""
    return comfy.lora.model_lora_keys_clip(clip.cond_stage_model, {})


def patches_by_name(weights: Mapping[str, Tensor], names: Mapping[str, Any]) -> Iterator[tuple[str, dict, set[str]]]:
    """For each name in the file, in ComfyUI's order: (name, patches by their key, names of the tensors in them)."""
    asked = _Asked(weights)
    for name, key in names.items():
        asked.taken = set()
        patches = comfy.lora.load_lora(asked, {name: key}, log_missing=False)
        if patches or asked.taken:
            yield name, patches, asked.taken


def weight_key(key) -> str:
    """The weight's name in a patch's key, which is a name or (name, rows) for a part of a fused weight."""
    return key if isinstance(key, str) else key[0]


def put_patches(patcher: ModelPatcher, patches: Mapping, strength: float) -> set:
    """Adds patches to a patcher. Returns the keys of those that act: it has the weight."""
    return set(patcher.add_patches(patches, strength))


def plain_weight(patcher: ModelPatcher, name: str) -> Tensor:
    """A weight without any patch, dequantised, where it is stored and in the type that it is computed with."""
    weight, _, convert = comfy.model_patcher.get_key_weight(patcher.model, name)
    kept = patcher.backup.get(name)
    weight = weight if kept is None else kept.weight
    return weight if convert is None else convert(weight)


def patch_weight(weight: Tensor, key, patch) -> Tensor:
    """`weight` in float32 after one patch of strength 1, as ComfyUI computes it; `weight` itself is not changed.

    A control LoRA's result is wider than the weight.
    """
    name, rows = (key, None) if isinstance(key, str) else (key[0], key[1])
    function = key[2] if not isinstance(key, str) and len(key) > 2 else None
    given = [(1.0, patch, 1.0, rows, function)]
    return comfy.lora.calculate_weight(given, weight.to(torch.float32, copy=True), name)
