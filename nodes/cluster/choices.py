"""What the schemas of Ray Workers, and of the nodes that use it, share with their runs. Pure."""

from __future__ import annotations

from dataclasses import dataclass

NAME = "Ray Workers"
LOCAL, AUTO = "local", "auto"


@dataclass(frozen=True)
class Workers:
    """Where work is computed; the value of the socket FLUX_WORKERS.

    `address` is LOCAL (a Ray of our own, on this machine, for one run), AUTO (the Ray that runs on this machine) or
    host:port. `count` 0 stands for as many as there are GPUs (CPU cores, if `gpus` is 0). `comfyui` is the folder with
    main.py on the workers, "" for the same folder as here. `arguments` are more of ComfyUI's command-line arguments.
    """

    address: str = LOCAL
    count: int = 0
    comfyui: str = ""
    gpus: float = 1.0
    arguments: str = ""
