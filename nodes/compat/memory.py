"""Memory, interruption, and the devices and dtypes that ComfyUI chooses. Imports ComfyUI."""

from __future__ import annotations

import comfy.model_management
import torch


def free_main_memory() -> int:
    """Free main memory in bytes, as ComfyUI measures it."""
    return comfy.model_management.get_free_memory(torch.device("cpu"))


def free_memory(size: int, device: torch.device) -> None:
    """Moves models away until `size` bytes are free on a device."""
    comfy.model_management.free_memory(size, device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the GPU ran out of memory; ComfyUI handles it."""
    return comfy.model_management.is_oom(error)


def check_interrupted() -> None:
    """Raises ComfyUI's InterruptProcessingException if the user cancelled the run."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def result_device() -> torch.device:
    """The device for tensors between nodes: the CPU, unless ComfyUI was started with --gpu-only."""
    return comfy.model_management.intermediate_device()


def compute_device() -> torch.device:
    """The device on which ComfyUI computes."""
    return comfy.model_management.get_torch_device()


def text_encoder_dtype(device: torch.device) -> torch.dtype:
    """The dtype in which ComfyUI loads text encoders for a device."""
    return comfy.model_management.text_encoder_dtype(device)


def text_encoder_initial_device(load: torch.device, offload: torch.device, size: int) -> torch.device:
    """The device on which a text encoder of `size` bytes is built: `load` or `offload`."""
    return comfy.model_management.text_encoder_initial_device(load, offload, size)


def weight_dtype(file: torch.dtype | None, fallback: torch.dtype, device) -> torch.dtype:
    """The dtype in which weights with the file's dtype `file` are stored; `fallback` if it is None."""
    return comfy.model_management.pick_weight_dtype(file, fallback, device)


def dtype_size(dtype: torch.dtype) -> int:
    """Bytes per element."""
    return comfy.model_management.dtype_size(dtype)


def archive_dtypes(model: torch.nn.Module) -> None:
    """Stores each weight's dtype on its module for DynamicVRAM, as a CLIP's constructor does."""
    comfy.model_management.archive_model_dtypes(model)
