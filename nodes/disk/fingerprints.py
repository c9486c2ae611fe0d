"""What a MODEL's or a CLIP's numbers depend on beside its file, as a digest. Imports ComfyUI.

One list for whatever keeps results on disk. Every attribute of ComfyUI's patcher stands in it; a patcher that has
another one, as a newer ComfyUI or another pack may give it, has no digest, and nothing is kept: what is new here is a
miss, never a wrong hit. Nor has one that carries functions, hooks or injections, whose content cannot be told.
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

_SAMPLING, _CAST = "model_sampling", "manual_cast_dtype"  # object patches whose content can be told

# ---- a patcher's attributes

HASHED = ("patches", "object_patches", "model_options", "load_device")  # the device by what `machine` says of it
REFUSED = ("weight_wrapper_patches", "hook_patches", "forced_hooks", "injections", "additional_models")  # unless empty
CALLED = ("wrappers", "callbacks")  # refused too, but for those that change no numbers
# The weights, and the loader and file they came from: for who asks, as a CLIP's and a MODEL's are told differently.
FILE = ("model", "cached_patcher_init")
# Where weights lie, what patches have replaced and what hooks of a run have done to it, and whose clone this is.
BOOKKEEPING = (
    "size", "offload_device", "weight_inplace_update", "force_cast_weights", "patches_uuid", "parent", "pinned",
    "backup", "backup_buffers", "object_patches_backup", "attachments", "is_injected", "skip_injection",
    "hook_patches_backup", "hook_backup", "cached_hook_patches", "current_hooks", "is_clip", "hook_mode",
    "is_multigpu_base_clone", "clone_base_uuid",
)  # fmt: skip
# ModelPatcherDynamic's, with what it notes for its log.
DYNAMIC = ("non_dynamic_delegate_model", "_free_methods", "_last_free_log_time", "_last_prepare_log_key")
KNOWN = frozenset((*HASHED, *REFUSED, *CALLED, *FILE, *BOOKKEEPING, *DYNAMIC))


class Untold(Exception):
    """Something whose content cannot be told takes part."""


def of_patcher(patcher: ModelPatcher, prefix: str = "", ours: Collection[str] = ()) -> str | None:
    """What changes a model's numbers, its file aside: the machine, weight patches, object patches and options.

    `prefix` limits weight patches to those keys; wrappers and callbacks under the keys `ours` change nothing. None
    where it cannot be told.
    """
    if vars(patcher).keys() - KNOWN or any(getattr(patcher, name, None) for name in REFUSED):
        return None
    called = (getattr(patcher, name) for name in CALLED)
    if any(each for kinds in called for keyed in kinds.values() for key, each in keyed.items() if key not in ours):
        return None
    if set(patches.object_patches(patcher)) - {_SAMPLING, _CAST}:
        return None
    try:
        # Objects not as they are in the model just now, where another clone's patches may stand.
        sampling = patches.model_object(patcher, _SAMPLING)  # a text encoder has none
        sampling, cast = None if sampling is None else _sampling(sampling), patches.model_object(patcher, _CAST)
        return digest([*machine(patcher), cast, sampling,
                       patches.model_options(patcher), weight_patches(patcher, prefix)])  # fmt: skip
    except Untold:
        return None


def weight_patches(patcher: ModelPatcher, prefix: str = "") -> list:
    """Those on keys that begin so. Hashing a LoRA takes less than running its model does."""
    return sorted((key, each) for key, each in patches.weight_patches(patcher).items() if key.startswith(prefix))


def _sampling(sampling) -> list:
    """ComfyUI's model_sampling: the classes that it is made of, its numbers and its sigmas."""
    plain = {key: value for key, value in vars(sampling).items()
             if not key.startswith("_") and isinstance(value, int | float | str)}  # fmt: skip
    names = [each.__qualname__ for each in type(sampling).__mro__]
    return [names, sorted(plain.items()), sorted(sampling.state_dict().items())]


# ---- values


def digest(value) -> str:
    """Of a nest of values that `told` can tell; else raises Untold."""
    return hashlib.sha256(json.dumps([*told(value)]).encode()).hexdigest()


def told(value) -> Iterator[str]:
    """A nest of numbers, texts, tensors and weight adapters, as texts that differ wherever the nests do.

    Raises Untold for anything else.
    """
    if isinstance(value, Tensor) and not value.is_meta:
        yield checksum(value.detach().to("cpu").contiguous())
    elif isinstance(value, list | tuple):
        yield f"{len(value)} of"
        for each in value:
            yield from told(each)
    elif isinstance(value, Mapping):
        yield f"{len(value)} named"
        yield from told(sorted(value.items()))
    elif isinstance(value, WeightAdapterBase):
        yield type(value).__name__
        yield from told(value.weights)
    elif value is None or isinstance(value, str | int | float | bool | torch.dtype):
        yield repr(value)
    else:
        raise Untold
