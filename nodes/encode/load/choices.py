"""The order of the files that a loader offers: those of its encoder first, by their headers. Pure.

Only the names of a .safetensors file's tensors are read, and kept until the file changes. Other formats, such as GGUF,
keep their place among the files that do not fit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence

CLIP_MARK = "text_model.encoder.layers.0.mlp.fc1.weight"
CLIP_TOO_DEEP = "text_model.encoder.layers.22.mlp.fc1.weight"  # CLIP-H and CLIP-G
T5_MARK = "encoder.block.0.layer.0.SelfAttention.q.weight"
UMT5_MARK = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"

_MOST_BYTES = 4_000_000  # of a header; a text encoder's is some ten thousand
_known: dict[str, tuple[tuple[int, int], frozenset[str]]] = {}  # path -> the file's identity, its tensors' names


def is_clip_l(names: frozenset[str]) -> bool:
    return CLIP_MARK in names and CLIP_TOO_DEEP not in names


def is_t5(names: frozenset[str]) -> bool:
    return T5_MARK in names and UMT5_MARK not in names


def fitting_first(
    files: Sequence[str], path_of: Callable[[str], str | None], fits: Callable[[frozenset[str]], bool]
) -> list[str]:
    """`files` in their order, those that fit first."""
    return sorted(files, key=lambda file: not fits(names_in(path_of(file))))


def names_in(path: str | None) -> frozenset[str]:
    """The names of the tensors in a .safetensors file; none for any other file, or one that cannot be read."""
    if path is None or not path.endswith((".safetensors", ".sft")):
        return frozenset()
    try:
        stat = os.stat(path)
        identity = stat.st_size, stat.st_mtime_ns
        if path not in _known or _known[path][0] != identity:
            _known[path] = identity, _read(path)
        return _known[path][1]
    except (OSError, ValueError, RecursionError):
        return frozenset()


def _read(path: str) -> frozenset[str]:
    if not os.path.isfile(path):  # a pipe would block
        return frozenset()
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size)) if size <= _MOST_BYTES else None
    return frozenset(header) if isinstance(header, dict) else frozenset()
