"""A model file -> its tensors, and all that can go wrong with one in our words. Imports ComfyUI."""

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

CHOOSE = "Choose a file in ComfyUI/models/text_encoders (press R for a new list)."
# Not the file's fault; ComfyUI knows what to do about them. An interruption is no Exception.
_PASSING = (MemoryError, torch.OutOfMemoryError, getattr(torch, "AcceleratorError", MemoryError))
_NO_MEMORY = "DefaultCPUAllocator"  # by which torch's error for main memory is known: it is a bare RuntimeError
_TABLE = "_quantization_metadata"  # ComfyUI's key in a file's metadata for the formats of its layers
_SCALES = ("weight_scale", "weight_scale_2")  # without which a quantised matrix is no numbers
_MOST_SAID = 65536  # bytes of a layer's own format, which take some 30


@contextmanager
def in_our_words(path: str) -> Iterator[None]:
    """What goes wrong inside, with the file at `path`, is raised as a BadFile that names it.

    Memory that runs out and an interruption stay what they are.
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
            f"{name} cannot be loaded as a text encoder: ComfyUI ended with {type(error).__name__} "
            f"({_said(error, path)}). It is damaged, or of a kind that this ComfyUI does not know; download it again."
        ) from error


def _passes(error: Exception) -> bool:
    return isinstance(error, _PASSING) or _NO_MEMORY in str(error)


def read_weights(path: str) -> dict[str, torch.Tensor]:
    """All tensors by their names, in the names and layouts that ComfyUI has now. Raises BadFile."""
    require_file(path)
    name = os.path.basename(path)
    try:
        sd, metadata = weights.load_file(path)
    except Exception as error:
        if _passes(error):
            raise
        raise BadFile(
            f"{name} cannot be read as a model file ({os.path.getsize(path):,} bytes): {_said(error, path)}. "
            "It is cut short or damaged, or no model file; copy or download it again."
        ) from error
    if not isinstance(sd, dict) or not all(isinstance(k, str) and torch.is_tensor(v) for k, v in sd.items()):
        raise BadFile(f"{name} holds no plain table of tensors, expected the weights of one text encoder.")
    if not _is_table((metadata or {}).get(_TABLE)):
        raise BadFile(_quantised(name, f"its `{_TABLE}` is no JSON object with a format for each of its `layers`"))
    sd = weights.with_current_quantisation(sd, metadata)
    for key in sd:
        if key.endswith(PACKED) and (wrong := _layer_fault(sd, key.removesuffix(PACKED))):
            raise BadFile(_quantised(name, f"its layer {shorten(key.removesuffix(PACKED), 100)} {wrong}"))
    if "transformer.resblocks.0.ln_1.weight" in sd:  # OpenAI's and OpenCLIP's names for the same tensors
        sd = weights.with_transformers_names(sd)
    return sd


def shapes_of(sd: dict[str, torch.Tensor]) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in sd.items()}


# ---- what is no file


def require_file(path: str) -> None:
    """Raises BadFile for a path that leads to no ordinary file. Opening a pipe would wait for ever."""
    with in_our_words(path):
        mode = os.stat(path).st_mode
    if kind := kind_of(mode):
        raise BadFile(f"{os.path.basename(path)} is {kind}, expected a model file. {CHOOSE}")


def _said(error: Exception, path: str) -> str:
    """An error's first line, in which a file has no folder: people share what they see."""
    line = next(iter(str(error).strip().splitlines()), "")
    return shorten(line.replace(path, os.path.basename(path)), 200) or type(error).__name__


# ---- quantised layouts


def _quantised(name: str, wrong: str) -> str:
    return (
        f"{name} cannot be read as a quantised file: {wrong}. It was quantised for another program, or is damaged; "
        "take one that was made for ComfyUI, or the file that it was quantised from."
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
    """What ComfyUI would stumble on in a layer that says it is quantised; None where nothing is."""
    said, weight = _read_format(sd[f"{layer}{PACKED}"]), sd.get(f"{layer}.weight")
    formats = weights.quantised_formats()
    if said not in formats:
        return f"has the format {shorten(repr(said), 40)}, expected one of {', '.join(formats)}"
    needed = [f"{layer}.{scale}" for scale in _SCALES if scale in formats[said]["parameters"]]
    if missing := [key for key in needed if key not in sd]:
        return f"lacks {missing[0].rsplit('.')[-1]}, without which it stands for no numbers"
    scale = sd[needed[0]]
    if weight is not None and said.startswith("float8") and not _spreads(scale.shape, weight.shape):
        return f"has a weight_scale of the shape {list(scale.shape)} for a weight of {list(weight.shape)}"
    return None


def _read_format(tensor: torch.Tensor) -> str | None:
    if tensor.dtype != torch.uint8 or tensor.numel() > _MOST_SAID:
        return None
    try:
        said = json.loads(bytes(tensor.flatten().tolist()))
        return said["format"] if isinstance(said["format"], str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _spreads(scale: torch.Size, weight: torch.Size) -> bool:
    """Whether a scale is for the whole of a weight, or broadcasts over it."""
    sizes = zip(reversed(scale), reversed(weight), strict=False)
    return scale.numel() == 1 or (len(scale) <= len(weight) and all(one in (1, size) for one, size in sizes))
