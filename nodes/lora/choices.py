"""What the schemas of nodes that read a LoRA share with their runs. Imports ComfyUI."""

from __future__ import annotations

import re

import folder_paths
from comfy_api.latest import io

from ..disk.headers import fitting_first
from ..flux1_sizes import DOUBLE, SINGLE

NAME = "Load LoRA by Stream"
# Blocks of FLUX.1 in the tensors' names of all formats: ComfyUI's and kohya's names, and diffusers' name of single
# blocks. Its name of double blocks, transformer_blocks, is that of other models' blocks too.
_BLOCK = re.compile(r"(?:(double)_blocks|single_(?:transformer_)?blocks)[._](\d+)[._]")


def file_input():
    """A LoRA's file, by its name in ComfyUI's folders."""
    return io.Combo.Input(
        "lora_name",
        options=files(),
        tooltip="The LoRA file, from models/loras. LoRAs for FLUX.1 are listed first.",
    )


def files() -> list[str]:
    """All LoRAs' names in ComfyUI's folders, those for FLUX.1 first."""
    listed = folder_paths.get_filename_list("loras")
    return fitting_first(listed, lambda file: folder_paths.get_full_path("loras", file), is_flux1)


def is_flux1(names: frozenset[str]) -> bool:
    """Whether a LoRA with tensors of these names is for FLUX.1: for some of its blocks, and for none that it lacks."""
    blocks = [found for name in names if (found := _BLOCK.search(name))]
    return bool(blocks) and all(int(block[2]) < (DOUBLE if block[1] else SINGLE) for block in blocks)


def path_of(name: str) -> str:
    """The path of a LoRA's file. Raises FileNotFoundError."""
    return folder_paths.get_full_path_or_raise("loras", name)


def state_of(name: str | None) -> list[int] | None:
    """What changes with a LoRA's file, for `fingerprint_inputs`; None without a name, as where it is linked."""
    from ..disk.encoder_files import stat_of

    return stat_of(path_of(name)) if name else None
