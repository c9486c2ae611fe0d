"""Reads a model file's tensors, with clear errors for damaged and unsuitable files. Imports ComfyUI."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ...compat import weights
from ...disk.given_file import kind_of
from ...quoting import shorten
from .shapes import PACKED, BadFile, Shapes

CHOOSE = "Choose a file in ComfyUI/models/text_encoders (press R to refresh the list)."
# Errors that are not the file's fault; ComfyUI handles them. An interruption is no Exception.
_PASSING = (MemoryError, torch.OutOfMemoryError, getattr(torch, "AcceleratorError", MemoryError))
_NO_MEMORY = "DefaultCPUAllocator"  # in torch's RuntimeError for running out of main memory
_TABLE = "_quantization_metadata"  # ComfyUI's metadata key for the formats of a file's layers
_SCALES = ("weight_scale", "weight_scale_2")  # tensors without which a quantised matrix cannot be decoded
_MOST_BYTES = 65536  # of a layer's format in JSON, which takes about 30


@contextmanager
def as_bad_file(path: str) -> Iterator[None]:
    """Raises errors in its body as BadFile, with the name of the file at `path`.

    Out-of-memory errors and interruptions pass unchanged.
    """
    name = os.path.basename(path)
    try:
        yield
    except BadFile:
        raise
    except OSError as error:
        raise BadFile(f"{name} cannot be read: {error.strerror or shorten(str(error), 200)}. {CHOOSE}") from error
    except Exception as error:
        if _passes(error):
            raise
        raise BadFile(
            f"{name} cannot be loaded as a text encoder: ComfyUI raised {type(error).__name__} "
            f"({_first_line(error, path)}). It is damaged, or this ComfyUI does not support it; download it again."
        ) from error


def _passes(error: Exception) -> bool:
    return isinstance(error, _PASSING) or _NO_MEMORY in str(error)


def read_weights(path: str) -> dict[str, torch.Tensor]:
    """All tensors by name, converted to ComfyUI's present names and quantised layouts. Raises BadFile."""
    require_file(path)
    name = os.path.basename(path)
    try:
        sd, metadata = weights.load_file(path)
    except Exception as error:
        if _passes(error):
            raise
        raise BadFile(
            f"{name} cannot be read as a model file ({os.path.getsize(path):,} bytes): {_first_line(error, path)}. "
            "The file is incomplete, damaged or not a model file. Copy or download it again."
        ) from error
    if not isinstance(sd, dict) or not all(isinstance(k, str) and torch.is_tensor(v) for k, v in sd.items()):
        raise BadFile(f"{name} is not a plain state dict, expected the weights of one text encoder. {CHOOSE}")
    if not _is_table((metadata or {}).get(_TABLE)):
        raise BadFile(_quantised(name, f"its `{_TABLE}` is not a JSON object with a format for each layer in `layers`"))
    sd = weights.with_current_quantisation(sd, metadata)
    for key in sd:
        if key.endswith(PACKED) and (wrong := _layer_fault(sd, key.removesuffix(PACKED))):
            raise BadFile(_quantised(name, f"its layer {shorten(key.removesuffix(PACKED), 100)} {wrong}"))
    if "transformer.resblocks.0.ln_1.weight" in sd:  # OpenAI's and OpenCLIP's names
        sd = weights.with_transformers_names(sd)
    return sd


def shapes_of(sd: dict[str, torch.Tensor]) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in sd.items()}


# ---- other paths


def require_file(path: str) -> None:
    """Raises BadFile for a path that is no ordinary file; opening a pipe would block."""
    with as_bad_file(path):
        mode = os.stat(path).st_mode
    if kind := kind_of(mode):
        raise BadFile(f"{os.path.basename(path)} is {kind}, expected a model file. {CHOOSE}")


def _first_line(error: Exception, path: str) -> str:
    """An error's first line, without the file's folder, which people would share with the message."""
    line = next(iter(str(error).strip().splitlines()), "")
    return shorten(line.replace(path, os.path.basename(path)), 200) or type(error).__name__


# ---- quantised layouts


def _quantised(name: str, wrong: str) -> str:
    return (
        f"{name} cannot be read as a quantised file: {wrong}. It was quantised for another program, or is damaged. Use "
        "one that was made for ComfyUI, or the original file."
    )


def _is_table(text: str | None) -> bool:
    if text is None:
        return True
    try:
        layers = json.loads(text)["layers"]
        return isinstance(layers, dict) and all(isinstance(each, dict) for each in layers.values())
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _layer_fault(sd: dict[str, torch.Tensor], layer: str) -> str | None:
    """Why ComfyUI cannot load a quantised layer; None if it can."""
    format_, weight = _read_format(sd[f"{layer}{PACKED}"]), sd.get(f"{layer}.weight")
    formats = weights.quantised_formats()
    if format_ not in formats:
        return f"has the format {shorten(repr(format_), 40)}, expected one of {', '.join(formats)}"
    needed = [f"{layer}.{scale}" for scale in _SCALES if scale in formats[format_]["parameters"]]
    if missing := [key for key in needed if key not in sd]:
        return f"has no {missing[0].rsplit('.')[-1]}, without which it cannot be decoded"
    scale = sd[needed[0]]
    if weight is not None and format_.startswith("float8") and not _broadcasts(scale.shape, weight.shape):
        return f"has a weight_scale of shape {list(scale.shape)} for a weight of shape {list(weight.shape)}"
    return None


def _read_format(tensor: torch.Tensor) -> str | None:
    """The format in a layer's `comfy_quant` tensor, which holds JSON as bytes; None if it is invalid."""
    if tensor.dtype != torch.uint8 or tensor.numel() > _MOST_BYTES:
        return None
    try:
        found = json.loads(bytes(tensor.flatten().tolist()))
        return found["format"] if isinstance(found["format"], str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _broadcasts(scale: torch.Size, weight: torch.Size) -> bool:
    """Whether a scale is one number or broadcasts over a weight."""
    sizes = zip(reversed(scale), reversed(weight), strict=False)
    return scale.numel() == 1 or (len(scale) <= len(weight) and all(one in (1, size) for one, size in sizes))
