"""Memory, interruption, and the devices and types that ComfyUI chooses. Imports ComfyUI."""

from __future__ import annotations

import comfy.model_management
import torch


def free_main_memory() -> int:
    """Bytes of main memory that are free, as ComfyUI measures it."""
    return comfy.model_management.get_free_memory(torch.device("cpu"))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the card's memory ran out, which ComfyUI handles itself."""
    return comfy.model_management.is_oom(error)


def check_interrupted() -> None:
    """Raises ComfyUI's InterruptProcessingException if the user has cancelled the run."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def result_device() -> torch.device:
    """Where ComfyUI keeps what flows between nodes: the CPU, unless it was started with --gpu-only."""
    return comfy.model_management.intermediate_device()


def text_encoder_dtype(device: torch.device) -> torch.dtype:
    """The type in which ComfyUI loads text encoders for a device."""
    return comfy.model_management.text_encoder_dtype(device)


def text_encoder_initial_device(load: torch.device, offload: torch.device, size: int) -> torch.device:
    """Where a text encoder of `size` bytes is built; one of the two."""
    return comfy.model_management.text_encoder_initial_device(load, offload, size)


def weight_dtype(file: torch.dtype | None, fallback: torch.dtype, device) -> torch.dtype:
    """The type that weights of the type `file` are kept in; `fallback` if they have none."""
    return comfy.model_management.pick_weight_dtype(file, fallback, device)


def dtype_size(dtype: torch.dtype) -> int:
    """Bytes of a number."""
    return comfy.model_management.dtype_size(dtype)


def archive_dtypes(model: torch.nn.Module) -> None:
    """Notes each weight's type on its module, which DynamicVRAM asks for, as a CLIP does when it is built."""
    comfy.model_management.archive_model_dtypes(model)
