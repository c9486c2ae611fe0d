"""What LoRA Influence's schema shares with its run. Pure."""

from __future__ import annotations

NAME = "LoRA Influence"
