"""This machine and its versions, for the report; and what the report must not say: a user's folders. Needs ComfyUI."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import comfy.memory_management
import comfy.model_management
import psutil
import torch

from ..bench.measure import size
from ..devtools import ROOT
from ..devtools.inside import COMFYUI
from ..nodes.compat import machine

PACKAGES = (
    "torch",
    "transformers",
    "safetensors",
    "numpy",
    "comfy-kitchen",
    "comfy-aimdo",
    "xformers",
    "sageattention",
)


def about() -> dict[str, Any]:
    device = comfy.model_management.get_torch_device()
    diffusion, text = machine.attention_names(device)
    return {
        "Flux Duet": pack_version(),
        "ComfyUI": machine.version(),
        "device": machine.device_name(device),
        "device memory": size(comfy.model_management.get_total_memory(device)),
        "main memory": size(psutil.virtual_memory().total),
        "CPU cores": os.cpu_count(),
        "VRAM mode": machine.vram_state(),
        "DynamicVRAM": "on" if dynamic_vram() else "off, unlike in ComfyUI itself on most NVIDIA cards",
        "attention": f"{diffusion}; text encoders: {text}",
        "CUDA": torch.version.cuda or "none",
        "Python": sys.version.split()[0],
        "system": platform.platform(),
        **{name: version for name in PACKAGES if (version := version_of(name))},
    }


def dynamic_vram() -> bool:
    """Whether models are loaded by comfy-aimdo, which ComfyUI's main.py switches on and this process does not."""
    return bool(getattr(comfy.memory_management, "aimdo_enabled", False))


def version_of(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def pack_version() -> str:
    """The version in pyproject.toml, and the commit if there is one."""
    found = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        commit = ""
    return f"{found[1] if found else 'unknown'}{f', commit {commit}' if commit else ''}"


def peak_memory() -> str:
    """The peak of this process's resident memory, where the system records it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    return size(1024 * int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]))


def hidden() -> dict[str, str]:
    """A user's folders, each with what the report says instead."""
    return {str(ROOT): "flux-duet", os.environ[COMFYUI]: "ComfyUI", str(Path.home()): "~"}
