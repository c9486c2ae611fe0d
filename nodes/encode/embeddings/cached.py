"""Encodings from the embedding store, or computed and then stored. Imports ComfyUI.

The key is a digest of everything that an encoding depends on: the encoder file's content, LoRAs and other patches,
dtype, tokens and their weights, settings, and the machine (disk/fingerprints.py). If any of it cannot be hashed (hooks,
injections, CLIPs from other loaders), the store is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import folder_paths
from torch import Tensor

from ...compat import patches as core
from ...compat import text_encoders
from ...compat.memory import result_device
from ...compat.text_encoders import CLIP, patcher_of
from ...disk.encoder_files import EncoderFile
from ...disk.fingerprints import NotHashable, digest, of_patcher, weight_patches
from ...streams import Span
from ..tokens.lengths import Tokens
from .store import VERSION, Store

_FILE = "flux_duet_file"  # key of the EncoderFile in the attachments of a CLIP's patcher and its clones


def store() -> Store:
    """The embedding store in ComfyUI's user folder."""
    return Store(_folder() / "embeddings")


def file_at(path: str) -> EncoderFile:
    """The present version of an encoder's file, with its records in ComfyUI's user folder. Raises OSError."""
    return EncoderFile.at(path, _folder() / "files")


def _folder() -> Path:
    return Path(folder_paths.get_system_user_directory("flux_duet"))


def mark(clip: CLIP, file: EncoderFile) -> None:
    """Attaches to a CLIP, and its later clones, the file of its weights."""
    core.attach(patcher_of(clip), _FILE, file)


def remembered(clip: CLIP, name: str, chunks: list[Tokens], encode: Callable[[], tuple[Span, ...]]) -> tuple[Span, ...]:
    """The stored encoding of these tokens, or else the result of `encode`, which is then stored.

    `name` is the encoder's attribute in the CLIP's model. Raises ValueError for an encoding that is not finite.
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


def remembered_values(clip: CLIP, name: str, what: Any, make: Callable[[], Tensor]) -> Tensor:
    """A stored tensor that was computed from encodings, or else the result of `make`, which is then stored.

    `what`, of plain data and tensors, is all that it depends on besides the encoder; it has to differ from the tokens
    of an encoding.
    """
    shelf = store()
    key = key_of(clip, name, what) if shelf.settings().on else None
    kept = None if key is None else shelf.get(key)
    if kept is None:
        kept = make()
        if key is not None:
            shelf.put(key, kept)
    return kept


def _finite(clip: CLIP, spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """The spans, if they are finite, else raises ValueError.

    The encoding is checked instead of the weights, because reading all weights would take as long as loading them.
    """
    if all(bool(span.tensor.isfinite().all()) for span in spans):
        return spans
    file = core.attached(patcher_of(clip), _FILE)
    patched = ", or those of a LoRA on it," if core.weight_patches(patcher_of(clip)) else ""
    raise ValueError(
        f"{Path(file.path).name if file else 'This CLIP'} encodes this prompt as numbers that are not finite (NaN or "
        f"infinity), which would give a black picture. Its weights{patched} are damaged, or too large for their "
        "precision. Download the file again, use another precision, or remove the LoRA."
    )


def key_of(clip: CLIP, name: str, chunks: Any) -> str | None:
    """The store's key for the encoding of `chunks`: a digest of all that it depends on; None if that is not known."""
    file = core.attached(patcher_of(clip), _FILE)
    if file is None:
        return None
    patches = None if text_encoders.hooks_of(clip) else of_patcher(patcher_of(clip), f"{name}.")
    content = patches and file.digest()
    if content is None:
        return None
    dtypes = sorted(map(str, text_encoders.dtypes_of(clip)))
    try:
        return digest([VERSION, content, patches, dtypes, text_encoders.layer_of(clip), name, chunks])
    except NotHashable:
        return None


def fingerprint(clip: CLIP, name: str) -> Callable[[], dict[str, str | None]]:
    """A function that identifies the encoder in a shared file: file name, content, model class, patches.

    None stands for what is unknown: the file of a CLIP from another loader, or patches that cannot be hashed. The
    function does not refer to the weights.
    """
    file, model = core.attached(patcher_of(clip), _FILE), type(text_encoders.model_of(clip)).__name__
    try:
        patches = weight_patches(patcher_of(clip), f"{name}.")
        patched = digest(patches) if patches else "none"
    except NotHashable:
        patched = None

    def identity() -> dict[str, str | None]:
        if file is None:
            return {"file": None, "content": None, "model": model, "patches": patched}
        return {"file": Path(file.path).name, "content": file.digest(), "model": model, "patches": patched}

    return identity
