"""Where a LoRA is saved: output/loras, which ComfyUI's LoRA loaders list too. Imports ComfyUI."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ..quoting import shorten
from .choices import NAME
from .load import SortedLora
from .save import write
from .strengths import Strengths

FOLDER = "loras"


def fault(name: str) -> str | None:
    """What is wrong with a name to save under; None if nothing is."""
    parts = Path(name.strip()).parts
    if "\0" in name or ".." in parts or Path(name.strip()).is_absolute():
        return f"{shorten(repr(name), 100)} is not a valid name in output/{FOLDER}. Use one such as my_lora/clip_only."
    return None


def saved(name: str, lora: SortedLora, strengths: Strengths) -> str:
    """Saves what remains under the next free number, and says where. Raises ValueError."""
    if wrong := fault(name):
        raise ValueError(f"{NAME}: {wrong}")
    try:
        path = _next_path(name.strip().removesuffix(".safetensors"))
        count = write(path, lora, strengths)
    except OSError as error:
        raise ValueError(
            f"{NAME}: {shorten(repr(name), 100)} cannot be saved in output/{FOLDER} "
            f"({error.strerror or type(error).__name__}). Use another or a shorter name, free up disk space, or make "
            "the folder writable."
        ) from error
    except ValueError as error:
        raise ValueError(f"{NAME}: {error}") from error
    return f"Saved {count} tensors to {path.relative_to(folder_paths.get_output_directory()).as_posix()}"


def _next_path(name: str) -> Path:
    """A name that is not taken, counted on as ComfyUI counts pictures. ComfyUI refuses places outside its folder."""
    output = folder_paths.get_output_directory()
    folder, stem, counter, *_ = folder_paths.get_save_image_path(f"{FOLDER}/{name}", output)
    while (path := Path(folder) / f"{stem}_{counter:05}_.safetensors").exists():
        counter += 1
    return path
