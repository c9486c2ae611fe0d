"""ModelPatcher, the options it carries, LoRA adapters, hooks and loaders. Imports ComfyUI."""

from __future__ import annotations

import comfy.hooks
import comfy.model_patcher
import comfy.sd

# For isinstance and annotations: a MODEL is one, and a CLIP holds one.
from comfy.model_patcher import ModelPatcher

# For isinstance: what a LoRA is once it is loaded; its content is in `weights`.
from comfy.weight_adapter import WeightAdapterBase
from torch import nn

__all__ = ["FILE_LOADERS", "ModelPatcher", "WeightAdapterBase", "clone_options", "combine_hooks", "forget_partial_load"]

# What a MODEL's `cached_patcher_init` names as its loader; the first argument of each is the file's path.
FILE_LOADERS = (comfy.sd.load_diffusion_model, comfy.sd.load_checkpoint_guess_config)


def clone_options(options: dict) -> dict:
    """model_options whose dicts and lists can be changed without changing the given ones; tensors are shared."""
    return comfy.model_patcher.create_model_options_clone(options)


def combine_hooks(first, second):
    """Both hook groups in one, as Combine Hooks makes it; either may be None."""
    return comfy.hooks.HookGroup.combine_all_hooks([first, second])


def forget_partial_load(module: nn.Module) -> None:
    """Undoes what marks a module's weight as cast when it is used, and forgets the LoRAs that are added on the way."""
    comfy.model_patcher.wipe_lowvram_weight(module)
