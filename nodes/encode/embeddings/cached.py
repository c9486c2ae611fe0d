"""An encoding from the embedding store, or else computed and kept there. Imports ComfyUI.

The key is a digest of everything that the numbers depend on: the encoder file's content, LoRAs and other patches,
dtype, tokens and their weights, settings, and what the machine adds (machine.py). Where a CLIP carries something whose
content cannot be told (hooks, injections, foreign loaders), nothing is kept and nothing is looked up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import folder_paths
import torch
from torch import Tensor

from ...compat.memory import result_device
from ...compat.patches import WeightAdapterBase
from ...compat.text_encoders import CLIP
from ...disk.encoder_files import EncoderFile
from ...disk.machine import machine
from ...streams import Span
from ..tokens.lengths import Tokens
from .store import VERSION, Store, checksum

_FILE = "flux_duet_file"  # under which a CLIP's patcher, and each clone of it, carries its EncoderFile
# What a patcher may carry besides weight patches; none of it tells its content.
_OPAQUE = ("weight_wrapper_patches", "hook_patches", "forced_hooks", "injections", "additional_models")
_CAST = "manual_cast_dtype"  # the one object patch that ComfyUI puts on every CLIP: the dtype that it computes in


class Untold(Exception):
    """Something whose content cannot be told takes part in the encoding."""


def store() -> Store:
    return Store(_folder() / "embeddings")


def file_at(path: str) -> EncoderFile:
    return EncoderFile.at(path, _folder() / "files")


def _folder() -> Path:
    return Path(folder_paths.get_system_user_directory("flux_duet"))


def mark(clip: CLIP, file: EncoderFile) -> None:
    """Notes on a CLIP, for itself and its clones, which file its weights are of."""
    clip.patcher.set_attachments(_FILE, file)


def remembered(clip: CLIP, name: str, chunks: list[Tokens], encode: Callable[[], tuple[Span, ...]]) -> tuple[Span, ...]:
    """What `encode` gives for these tokens; `name` is the encoder's attribute in the CLIP's model.

    Raises ValueError, naming the file where it is known, for numbers that are not finite; they are not kept either.
    """
    shelf = store()
    key = key_of(clip, name, chunks) if shelf.settings().on else None
    if key is None:
        return _finite(clip, encode())
    kept = shelf.get(key)
    if kept is not None:
        return (Span(kept.to(result_device())),)
    spans = _finite(clip, encode())
    if len(spans) == 1 and not spans[0].extras:
        shelf.put(key, spans[0].tensor)
    return spans


def _finite(clip: CLIP, spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Looked for in what the weights give, as reading all of them once more would take as long as loading them."""
    if all(bool(span.tensor.isfinite().all()) for span in spans):
        return spans
    file = clip.patcher.get_attachment(_FILE)
    patched = ", or those of a LoRA on it," if clip.patcher.patches else ""
    raise ValueError(
        f"{Path(file.path).name if file else 'This CLIP'} encodes this prompt as numbers that are not finite (NaN or "
        f"infinity), which would give a black picture: its weights{patched} are damaged, or too large for the type "
        "they are run in. Download the file again, take it in another precision, or take the LoRA off."
    )


def key_of(clip: CLIP, name: str, chunks: list[Tokens]) -> str | None:
    """The digest of all that goes into an encoding; None where that cannot be told."""
    file = clip.patcher.get_attachment(_FILE)
    if file is None:
        return None
    try:
        parts = [*_settings(clip), name, *told([chunks, _patches(clip, name)])]
    except Untold:
        return None
    digest = file.digest()
    return digest and hashlib.sha256(json.dumps([digest, *parts]).encode()).hexdigest()


def fingerprint(clip: CLIP, name: str) -> Callable[[], dict[str, str | None]]:
    """What tells this encoder from another, for a file that people share. Holds on to no weights.

    None stands for what is not known: the content of a file that another loader read, or a patch that cannot be told.
    """
    file, model = clip.patcher.get_attachment(_FILE), type(clip.cond_stage_model).__name__
    try:
        patches = _patches(clip, name)
        patched = hashlib.sha256(json.dumps([*told(patches)]).encode()).hexdigest() if patches else "none"
    except Untold:
        patched = None

    def tell() -> dict[str, str | None]:
        if file is None:
            return {"file": None, "content": None, "model": model, "patches": patched}
        return {"file": Path(file.path).name, "content": file.digest(), "model": model, "patches": patched}

    return tell


def _settings(clip: CLIP) -> list[str]:
    patcher = clip.patcher
    changed = [field for field in _OPAQUE if getattr(patcher, field)]
    changed += [name for name in patcher.object_patches if name != _CAST]
    changed += [value for kind in (patcher.wrappers, patcher.callbacks) for value in kind.values() if value]
    if changed or clip.apply_hooks_to_conds or patcher.model_options != {"transformer_options": {}}:
        raise Untold
    dtypes = [*sorted(map(str, clip.cond_stage_model.dtypes)), str(patcher.object_patches.get(_CAST))]
    return [str(VERSION), *machine(patcher), *dtypes, str(clip.layer_idx)]


def _patches(clip: CLIP, name: str) -> list:
    """The weight patches on one encoder. Hashing a LoRA takes less than encoding does."""
    return sorted((key, patches) for key, patches in clip.patcher.patches.items() if key.startswith(f"{name}."))


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
