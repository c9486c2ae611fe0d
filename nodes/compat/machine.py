"""ComfyUI's version, device, attention kernels and command-line options. Imports ComfyUI."""

from __future__ import annotations

from typing import Any

import comfy.cli_args
import comfy.ldm.modules.attention
import comfy.model_management
import comfyui_version


def version() -> str:
    """ComfyUI's version, such as "0.30.0"."""
    return comfyui_version.__version__


def device_name(device) -> str:
    """A device's name with its allocator, as ComfyUI logs it."""
    return comfy.model_management.get_torch_device_name(device)


def attention_names(device) -> tuple[str, str]:
    """The names of the attention functions for diffusion models, and for text encoders on this device."""
    attention = comfy.ldm.modules.attention
    small = attention.optimized_attention_for_device(device, mask=True, small_input=True)
    return attention.optimized_attention.__name__, small.__name__


def vram_state() -> str:
    """ComfyUI's VRAM mode, such as "NORMAL_VRAM"."""
    return comfy.model_management.vram_state.name


def option(name: str) -> Any:
    """The value of a command-line option; None if this ComfyUI does not have it."""
    return getattr(comfy.cli_args.args, name, None)
