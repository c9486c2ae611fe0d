"""What the schemas of nodes that read a LoRA share with their runs. Imports ComfyUI."""

from __future__ import annotations

import folder_paths
from comfy_api.latest import io

NAME = "Load LoRA by Stream"


def file_input():
    """A LoRA's file, by its name in ComfyUI's folders."""
    return io.Combo.Input(
        "lora_name",
        options=folder_paths.get_filename_list("loras"),
        tooltip="The LoRA file, from models/loras. LoRAs for FLUX.1 are listed first.",
    )


def path_of(name: str) -> str:
    """The path of a LoRA's file. Raises FileNotFoundError."""
    return folder_paths.get_full_path_or_raise("loras", name)


def state_of(name: str | None) -> list[int] | None:
    """What changes with a LoRA's file, for `fingerprint_inputs`; None without a name, as where it is linked."""
    from ..disk.encoder_files import stat_of

    return stat_of(path_of(name)) if name else None
