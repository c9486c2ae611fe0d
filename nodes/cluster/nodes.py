"""The node that says where grids, sweeps and studies are computed. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..sockets import FluxWorkers
from .choices import LOCAL, NAME, Workers


class RayWorkers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetRay",
            display_name=NAME,
            category="Flux Duet/Analyse",
            description="Computes the pictures of Prompt Grid, Switch Sweep and Influence Study on several GPUs or "
            "machines: each worker is a ComfyUI of yours, started by Ray. Needs Ray in ComfyUI's Python: "
            'pip install "ray[default]".',
            search_aliases=["ray", "cluster", "distributed", "multi gpu", "remote", "parallel"],
            inputs=[
                io.String.Input(
                    "address", default=LOCAL,
                    tooltip="local: Ray is started on this machine for the run, for all of its GPUs. auto: the Ray "
                    "that runs on this machine already. host:port: that Ray, which this machine has joined.",
                ),
                io.Int.Input(
                    "count", default=0, min=0, max=4096,
                    tooltip="How many workers, at most; 0 for as many as the cluster has room for.",
                ),
                io.Float.Input(
                    "gpus", default=1.0, min=0.0, max=64.0, step=0.25, round=0.01,
                    tooltip="GPUs of each worker. 0.5: two workers share a GPU. 0: workers on the CPU, to try it out.",
                ),
                io.String.Input(
                    "comfyui", default="", optional=True,
                    tooltip="ComfyUI's folder on the workers, with ~ and $VARIABLES. Empty: the same path as here.",
                ),
                io.String.Input(
                    "arguments", default="", optional=True, advanced=True,
                    tooltip="More command-line arguments of ComfyUI on the workers, such as --lowvram.",
                ),
            ],
            outputs=[
                FluxWorkers.Output(
                    "workers", display_name="workers", tooltip="For Prompt Grid, Switch Sweep and Influence Study."
                )
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, address=LOCAL, count=0, gpus=1.0, comfyui="", arguments="") -> io.NodeOutput:
        return io.NodeOutput(Workers(address.strip() or LOCAL, count, comfyui.strip(), gpus, arguments.strip()))


NODES = [RayWorkers]
