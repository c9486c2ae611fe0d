"""The node that says where grids, sweeps and studies are computed. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..sockets import FluxWorkers
from .choices import LOCAL, NAME, Workers


def _inputs():
    return [
        io.String.Input(
            "address", default=LOCAL,
            tooltip="local: starts Ray on this machine for the run, with all GPUs. auto: uses the Ray that "
            "already runs on this machine. host:port: uses the Ray at that address; this machine must have "
            "joined it.",
        ),
        io.Int.Input(
            "count", display_name="workers", default=0, min=0, max=4096,
            tooltip="Maximum number of workers. 0 = as many as the cluster has room for.",
        ),
        io.Float.Input(
            "gpus", display_name="GPUs per worker", default=1.0, min=0.0, max=64.0, step=0.25, round=0.01,
            tooltip="GPUs that each worker uses. 0.5 = two workers share a GPU. 0 = workers run on the CPU, "
            "for a test.",
        ),
        io.String.Input(
            "comfyui", display_name="ComfyUI folder", default="", optional=True,
            tooltip="ComfyUI's folder on the worker machines; ~ and $VARIABLES are allowed. Empty: the same "
            "path as on this machine.",
        ),
        io.String.Input(
            "arguments", default="", optional=True, advanced=True,
            tooltip="Additional ComfyUI command-line arguments for the workers, such as --lowvram.",
        ),
    ]  # fmt: skip


class RayWorkers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetRay",
            display_name=NAME,
            category="Flux Duet/Analyse",
            description="Computes the pictures of Prompt Grid, Switch Sweep and Influence Study faster, on several "
            "GPUs or machines. Each worker is your own ComfyUI, started by Ray. Install Ray in ComfyUI's Python first: "
            'pip install "ray[default]".',
            search_aliases=["ray", "cluster", "distributed", "multi gpu", "remote", "parallel"],
            inputs=_inputs(),
            outputs=[
                FluxWorkers.Output(
                    "workers",
                    display_name="workers",
                    tooltip="Connect to Prompt Grid, Switch Sweep or Influence Study.",
                )
            ],
        )

    @classmethod
    def execute(cls, address=LOCAL, count=0, gpus=1.0, comfyui="", arguments="") -> io.NodeOutput:
        return io.NodeOutput(Workers(address.strip() or LOCAL, count, comfyui.strip(), gpus, arguments.strip()))


NODES = [RayWorkers]
