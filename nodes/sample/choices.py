"""What the schemas of nodes that sample share with their runs. Imports ComfyUI."""

from __future__ import annotations

from ..compat.sampling import scheduler_names

OFFICIAL = "official"
SCHEDULERS = [*scheduler_names(), OFFICIAL]
