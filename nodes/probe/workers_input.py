"""The `workers` input of probes whose work can be computed by workers. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..sockets import FluxWorkers


def workers_input() -> io.Input:
    return FluxWorkers.Input(
        "workers", optional=True,
        tooltip="From Ray Workers: computes on other GPUs and machines. Without it, this ComfyUI computes everything.",
    )  # fmt: skip
