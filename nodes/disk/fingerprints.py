"""A digest of what a MODEL's or CLIP's results depend on besides its file. Imports ComfyUI.

It is part of the key of every result on disk. The lists below name every attribute of ComfyUI's ModelPatcher. A patcher
with an unknown attribute (from a newer ComfyUI or another pack) has no digest, and its results are not cached: the
unknown causes a miss, never a wrong hit. A patcher with functions, hooks or injections has no digest either, because
their content cannot be hashed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from ..compat import patches
from ..compat.patches import ModelPatcher, WeightAdapterBase
from .checksums import checksum
from .machine import machine

_SAMPLING, _CAST = "model_sampling", "manual_cast_dtype"  # object patches whose content can be hashed

# ---- a patcher's attributes

HASHED = ("patches", "object_patches", "model_options", "load_device")  # of the device, what `machine` returns
REFUSED = ("weight_wrapper_patches", "hook_patches", "forced_hooks", "injections", "additional_models")  # unless empty
CALLED = ("wrappers", "callbacks")  # refused too, except those that do not change results
# The weights, their loader and file. The caller hashes the file, because CLIP and MODEL identify it differently.
FILE = ("model", "cached_patcher_init")
# Where weights are stored, backups of patched weights, the state of hooks during a run, and the parent of a clone.
BOOKKEEPING = (
    "size", "offload_device", "weight_inplace_update", "force_cast_weights", "patches_uuid", "parent", "pinned",
    "backup", "backup_buffers", "object_patches_backup", "attachments", "is_injected", "skip_injection",
    "hook_patches_backup", "hook_backup", "cached_hook_patches", "current_hooks", "is_clip", "hook_mode",
    "is_multigpu_base_clone", "clone_base_uuid",
)  # fmt: skip
# ModelPatcherDynamic's attributes, including those for its log.
DYNAMIC = ("non_dynamic_delegate_model", "_free_methods", "_last_free_log_time", "_last_prepare_log_key")
KNOWN = frozenset((*HASHED, *REFUSED, *CALLED, *FILE, *BOOKKEEPING, *DYNAMIC))


class NotHashable(Exception):
    """A value whose content cannot be hashed."""


def of_patcher(patcher: ModelPatcher, prefix: str = "", ours: Collection[str] = ()) -> str | None:
    """Digest of what a model's results depend on besides its file: machine, weight and object patches, options.

    `prefix` limits weight patches to keys that start with it. Wrappers and callbacks under the keys `ours` are known
    not to change results. None if the patcher has anything that cannot be hashed.
    """
    if vars(patcher).keys() - KNOWN or any(getattr(patcher, name, None) for name in REFUSED):
        return None
    called = (getattr(patcher, name) for name in CALLED)
    if any(each for kinds in called for keyed in kinds.values() for key, each in keyed.items() if key not in ours):
        return None
    if set(patches.object_patches(patcher)) - {_SAMPLING, _CAST}:
        return None
    try:
        # From the patcher, not from the model, in which another clone's patches may be applied now.
        sampling = patches.model_object(patcher, _SAMPLING)  # a text encoder has none
        sampling, cast = None if sampling is None else _sampling(sampling), patches.model_object(patcher, _CAST)
        return digest([*machine(patcher), cast, sampling,
                       patches.model_options(patcher), weight_patches(patcher, prefix)])  # fmt: skip
    except NotHashable:
        return None


def weight_patches(patcher: ModelPatcher, prefix: str = "") -> list:
    """(key, patches) for all keys that start with `prefix`, sorted."""
    return sorted((key, each) for key, each in patches.weight_patches(patcher).items() if key.startswith(prefix))


def _sampling(sampling) -> list:
    """ComfyUI's model_sampling: its classes (it is composed of several), its parameters and its sigmas."""
    plain = {key: value for key, value in vars(sampling).items()
             if not key.startswith("_") and isinstance(value, int | float | str)}  # fmt: skip
    names = [each.__qualname__ for each in type(sampling).__mro__]
    return [names, sorted(plain.items()), sorted(sampling.state_dict().items())]


# ---- values


def digest(value) -> str:
    """sha256 (hex) of a nested value. Raises NotHashable for a value that `serialized` does not support."""
    return hashlib.sha256(json.dumps([*serialized(value)]).encode()).hexdigest()


def serialized(value) -> Iterator[str]:
    """A nested value of numbers, texts, tensors and weight adapters as strings; different values give different ones.

    Raises NotHashable for anything else.
    """
    if isinstance(value, Tensor) and not value.is_meta:
        yield checksum(value.detach().to("cpu").contiguous())
    elif isinstance(value, list | tuple):
        yield f"{len(value)} of"
        for each in value:
            yield from serialized(each)
    elif isinstance(value, Mapping):
        yield f"{len(value)} named"
        yield from serialized(sorted(value.items()))
    elif isinstance(value, WeightAdapterBase):
        yield type(value).__name__
        yield from serialized(value.weights)
    elif value is None or isinstance(value, str | int | float | bool | torch.dtype):
        yield repr(value)
    else:
        raise NotHashable
