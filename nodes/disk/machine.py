"""What a model's results depend on besides the model and its inputs: versions, device, options. Imports ComfyUI.

It is part of the key of every result on disk: a result computed with `--fast fp16_accumulation` must not be used in a
run without it. Settings that affect only speed or memory (threads, caches, async offloading) are not included.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from operator import attrgetter

import torch

from ..compat import machine as core
from ..compat.patches import ModelPatcher, is_dynamic, load_device

# ComfyUI's command-line options that select kernels, dtypes or algorithms and show in no other value here.
FLAGS = ("fast", "force_upcast_attention", "dont_upcast_attention", "deterministic", "supports_fp8_compute",
         "force_fp32", "force_fp16", "fp16_intermediates", "force_channels_last", "enable_triton_backend",
         "disable_triton_backend")  # fmt: skip
# torch's global state, set by those options, by nodes or start scripts. `--fast` sets the first.
STATES = (
    "backends.cuda.matmul.allow_fp16_accumulation",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_tf32",
    "backends.cuda.matmul.fp32_precision",
    "backends.cudnn.allow_tf32",
    "backends.cudnn.deterministic",
    "backends.cudnn.enabled",
    "backends.mkldnn.enabled",
)
CALLS = (
    "get_float32_matmul_precision",
    "are_deterministic_algorithms_enabled",
    "backends.cpu.get_cpu_capability",
    "backends.cuda.flash_sdp_enabled",
    "backends.cuda.mem_efficient_sdp_enabled",
    "backends.cuda.math_sdp_enabled",
    "backends.cuda.cudnn_sdp_enabled",
    "backends.cuda.fp16_bf16_reduction_math_sdp_allowed",
)
VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
PACKAGES = ("comfy-kitchen", "xformers", "sageattention", "flash-attn")  # packages whose kernels ComfyUI uses


def machine(patcher: ModelPatcher) -> list[str]:
    """Versions, load device, attention functions, ComfyUI's options and torch's state, one string each."""
    device = load_device(patcher)
    return [
        *(f"{name} {version}" for name, version in _versions()),
        f"device {core.device_name(device)}",
        f"attention {' '.join(core.attention_names(device))}",
        # LoRAs are added in a different dtype if weights are streamed to the device.
        f"memory {core.vram_state()} {is_dynamic(patcher)}",
        *(f"--{flag} {_flag(flag)}" for flag in FLAGS),
        *(f"{name} {_state(name)}" for name in STATES),
        *(f"{name} {_state(name, call=True)}" for name in CALLS),
        *(f"{name} {os.environ.get(name)}" for name in VARIABLES),
    ]


@functools.cache
def _versions() -> list[tuple[str, str | None]]:
    found = [("comfyui", core.version()), ("torch", torch.__version__), ("toolkit", torch.version.cuda)]
    for name in PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, None))
    return found


def _flag(name: str) -> str:
    value = core.option(name)
    # The order of a set differs between processes.
    return ", ".join(sorted(map(str, value))) if isinstance(value, set | list | tuple) else str(value)


def _state(name: str, call: bool = False) -> str:
    try:
        value = attrgetter(name)(torch)
        return str(value() if call else value)
    except (AttributeError, RuntimeError) as error:  # a torch without this setting, or one that uses its newer name
        return type(error).__name__
