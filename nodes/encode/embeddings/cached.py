"""An encoding from the embedding store, or else computed and kept there. Imports ComfyUI.

The key is a digest of everything that the numbers depend on: the encoder file's content, LoRAs and other patches,
dtype, tokens and their weights, settings, and what the machine adds (disk/fingerprints.py). Where a CLIP carries
something whose content cannot be told (hooks, injections, foreign loaders), nothing is kept and nothing looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import folder_paths

from ...compat import patches as core
from ...compat import text_encoders
from ...compat.memory import result_device
from ...compat.text_encoders import CLIP, patcher_of
from ...disk.encoder_files import EncoderFile
from ...disk.fingerprints import Untold, digest, of_patcher, weight_patches
from ...streams import Span
from ..tokens.lengths import Tokens
from .store import VERSION, Store

_FILE = "flux_duet_file"  # under which a CLIP's patcher, and each clone of it, carries its EncoderFile


def store() -> Store:
    return Store(_folder() / "embeddings")


def file_at(path: str) -> EncoderFile:
    return EncoderFile.at(path, _folder() / "files")


def _folder() -> Path:
    return Path(folder_paths.get_system_user_directory("flux_duet"))


def mark(clip: CLIP, file: EncoderFile) -> None:
    """Notes on a CLIP, for itself and its clones, which file its weights are of."""
    core.attach(patcher_of(clip), _FILE, file)


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
    file = core.attached(patcher_of(clip), _FILE)
    patched = ", or those of a LoRA on it," if core.weight_patches(patcher_of(clip)) else ""
    raise ValueError(
        f"{Path(file.path).name if file else 'This CLIP'} encodes this prompt as numbers that are not finite (NaN or "
        f"infinity), which would give a black picture: its weights{patched} are damaged, or too large for the type "
        "they are run in. Download the file again, take it in another precision, or take the LoRA off."
    )


def key_of(clip: CLIP, name: str, chunks: list[Tokens]) -> str | None:
    """The digest of all that goes into an encoding; None where that cannot be told."""
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
    except Untold:
        return None


def fingerprint(clip: CLIP, name: str) -> Callable[[], dict[str, str | None]]:
    """What tells this encoder from another, for a file that people share. Holds on to no weights.

    None stands for what is not known: the content of a file that another loader read, or a patch that cannot be told.
    """
    file, model = core.attached(patcher_of(clip), _FILE), type(text_encoders.model_of(clip)).__name__
    try:
        patches = weight_patches(patcher_of(clip), f"{name}.")
        patched = digest(patches) if patches else "none"
    except Untold:
        patched = None

    def tell() -> dict[str, str | None]:
        if file is None:
            return {"file": None, "content": None, "model": model, "patches": patched}
        return {"file": Path(file.path).name, "content": file.digest(), "model": model, "patches": patched}

    return tell
