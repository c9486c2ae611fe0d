"""A MODEL that leaves some of its modules where unused weights are kept. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from comfy.model_patcher import ModelPatcher
from torch import nn

from .modulation import bytes_of
from .patches import is_dynamic

# Bytes to load; to ComfyUI 0 means all.
ALL = 1e32
NEXT_TO_NOTHING = 0.1


def can_keep_offloaded(patcher: ModelPatcher) -> bool:
    """Whether a MODEL has two places for its weights, and moves them by modules. DynamicVRAM moves them when used."""
    return not is_dynamic(patcher) and patcher.load_device != patcher.offload_device


def keeping_offloaded(patcher: ModelPatcher, modules: Collection[nn.Module]) -> ModelPatcher:
    """A clone of a MODEL that never loads these modules: their weights are cast when they are used, LoRA and all.

    It leaves the model as a partial load leaves it, so any other clone loads them again if there is room.
    """
    clone = patcher.clone()
    clone.__class__ = type("KeepingOffloaded", (_KeepsOffloaded, type(clone)), {})
    clone.kept = frozenset(modules)
    clone.size = patcher.model_size() - sum(bytes_of(each) for each in clone.kept)
    return clone


class _KeepsOffloaded(ModelPatcher):
    """Methods of ModelPatcher that go over the modules, in two parts: those that are kept, and the others."""

    kept: frozenset[nn.Module]
    _only: bool | None = None

    def _load_list(self, *args, **kwargs):
        found = super()._load_list(*args, **kwargs)
        return found if self._only is None else [each for each in found if (each[-2] in self.kept) == self._only]

    @contextmanager
    def _going_over(self, kept: bool) -> Iterator[None]:
        self._only = kept
        try:
            yield
        finally:
            self._only = None

    def partially_load(self, device_to, extra_memory=0, force_patch_weights=False):
        if self.model.current_weight_patches_uuid == self.patches_uuid:  # else all are unloaded anyway
            with self._going_over(kept=True):
                extra_memory += self.partially_unload(self.offload_device, ALL, force_patch_weights)
        return super().partially_load(device_to, extra_memory, force_patch_weights)

    def load(self, device_to, lowvram_model_memory=0, force_patch_weights=False, full_load=False):
        with self._going_over(kept=True):
            super().load(device_to, NEXT_TO_NOTHING, force_patch_weights)
        with self._going_over(kept=False):
            super().load(device_to, ALL if full_load else lowvram_model_memory, force_patch_weights)
        self.model.model_lowvram = True  # so that the next load goes over the modules
