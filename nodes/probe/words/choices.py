"""What Word Ablation's schema shares with its run. Pure."""

from __future__ import annotations

NAME = "Word Ablation"
