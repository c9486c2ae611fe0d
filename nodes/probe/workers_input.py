"""The `workers` input of probes whose work can be computed by workers. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..sockets import FluxWorkers


def workers_input() -> io.Input:
    return FluxWorkers.Input(
        "workers", optional=True,
        tooltip="From Ray Workers: other GPUs and machines compute. Without it, this ComfyUI does.",
    )  # fmt: skip
