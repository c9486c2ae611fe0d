"""What LoRA Anatomy's schema shares with its run. Pure."""

from __future__ import annotations

NAME = "LoRA Anatomy"
NONE = "none"  # no second file
