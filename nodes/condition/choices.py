"""What the schemas of nodes that make a CONDITIONING share with their runs. Pure."""

from __future__ import annotations

# What ComfyUI's Flux uses where a CONDITIONING names none (comfy/model_base.py, Flux.extra_conds).
DEFAULT_GUIDANCE = 3.5
GUIDANCE_OFF = -1.0  # this pack's number for "no guidance embedding", ComfyUI's None
