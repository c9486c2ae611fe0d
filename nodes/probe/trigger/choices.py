"""What Trigger Test's schema shares with its run. Pure."""

from __future__ import annotations

NAME = "Trigger Test"
