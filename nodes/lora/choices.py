"""What the LoRA nodes' schemas share with their runs. Pure."""

from __future__ import annotations

NAME = "Load LoRA by Stream"
