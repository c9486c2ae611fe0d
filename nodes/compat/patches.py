"""ModelPatcher (a MODEL, and what is in a CLIP), what it carries, LoRA adapters, hooks and loaders. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import comfy.hooks
import comfy.model_patcher
import comfy.sd

# For isinstance and annotations: a MODEL is a ModelPatcher, and a CLIP has one.
from comfy.model_patcher import ModelPatcher

# For isinstance: a loaded LoRA layer, whose content is in `weights`.
from comfy.weight_adapter import WeightAdapterBase
from torch import Tensor, device, nn

__all__ = ["FILE_LOADERS", "ModelPatcher", "WeightAdapterBase", "attach", "attached", "base_model", "clone_options",
           "combine_hooks", "forget_partial_load", "is_dynamic", "load_device", "load_on_use", "loader_of",
           "model_object", "model_options", "object_patches", "offload_device", "set_loader", "transformer_options",
           "weight_patches", "weight_without_patches"]  # fmt: skip

# The loaders that a MODEL's `cached_patcher_init` may name; the first argument of each is the file's path.
FILE_LOADERS = (comfy.sd.load_diffusion_model, comfy.sd.load_checkpoint_guess_config)


def clone_options(options: dict) -> dict:
    """A copy of model_options with its own dicts and lists; tensors are shared."""
    return comfy.model_patcher.create_model_options_clone(options)


def combine_hooks(first, second):
    """Both hook groups in one, as Combine Hooks does it; either may be None."""
    return comfy.hooks.HookGroup.combine_all_hooks([first, second])


def forget_partial_load(module: nn.Module) -> None:
    """Clears a partial load's marks on a module: weights that are cast when used, and LoRAs that are added then."""
    comfy.model_patcher.wipe_lowvram_weight(module)


# ---- what a patcher holds


def base_model(model):
    """The BaseModel in a MODEL; None for an object that has none."""
    return getattr(model, "model", None)


def weight_patches(patcher: ModelPatcher) -> Mapping[str, list]:
    """LoRAs and other patches by the weight's full name."""
    return patcher.patches


def object_patches(patcher: ModelPatcher) -> Mapping[str, Any]:
    """What stands in place of the model's own objects, by the object's dotted name."""
    return patcher.object_patches


def model_object(patcher: ModelPatcher, name: str) -> Any:
    """A part of the model by its dotted name, or what a patch has put in its place; None for a model without it."""
    try:
        return patcher.get_model_object(name)
    except AttributeError:
        return None


def model_options(patcher: ModelPatcher) -> dict[str, Any]:
    """The options that nodes have put on a MODEL; `transformer_options` are in them."""
    return patcher.model_options


def transformer_options(patcher: ModelPatcher) -> dict[str, Any]:
    """What a MODEL's transformer will be given beside its inputs: wrappers, and patches by kind."""
    return patcher.model_options["transformer_options"]


def weight_without_patches(patcher: ModelPatcher, name: str, value: Tensor) -> Tensor:
    """A weight as it is in the file; `value` is what stands in the model now, perhaps a patched one."""
    kept = patcher.backup.get(name)
    return value if kept is None else kept.weight


def attach(patcher: ModelPatcher, key: str, value: Any) -> None:
    """Puts a value on a patcher, for itself and its clones."""
    patcher.set_attachments(key, value)


def attached(patcher: ModelPatcher, key: str) -> Any:
    """The value that was put on a patcher, or on the one it is a clone of; None if there is none."""
    return patcher.get_attachment(key)


# ---- where it came from, and where its weights are


def loader_of(patcher: ModelPatcher) -> tuple[Callable | None, Sequence, list]:
    """The function that loaded a model, its arguments, and which of its results this is; (None, [], []) if unknown."""
    loader, arguments, *which = patcher.cached_patcher_init or (None, [])
    return loader, arguments, which


def set_loader(patcher: ModelPatcher, loader: Callable, arguments: tuple) -> None:
    """Tells ComfyUI how to make a model anew: loader(*arguments, disable_dynamic=...) gives a patcher."""
    patcher.cached_patcher_init = (loader, arguments)


def load_device(patcher: ModelPatcher) -> device:
    """Where the model computes."""
    return patcher.load_device


def offload_device(patcher: ModelPatcher) -> device:
    """Where its weights are kept when it does not."""
    return patcher.offload_device


def is_dynamic(patcher: ModelPatcher) -> bool:
    """Whether weights are streamed in as they are used (DynamicVRAM)."""
    return getattr(patcher, "is_dynamic", lambda: False)()


def load_on_use(patcher: ModelPatcher) -> None:
    """Makes a model usable without moving it: each weight is cast to the device when it is used, LoRA and all."""
    if patcher.model.current_weight_patches_uuid not in (None, patcher.patches_uuid):
        patcher.detach()  # another LoRA's weights are in place
    if patcher.model.model_loaded_weight_memory == 0:
        for module in patcher.model.modules():
            # A full load leaves a mark that a partial load takes for its own, and it would leave out the LoRA.
            forget_partial_load(module)
        patcher.partially_load(patcher.load_device, extra_memory=0.1)  # a budget of next to nothing
