"""What Switch Sweep's schema shares with its run. Pure."""

from __future__ import annotations

NAME = "Switch Sweep"
T5, CLIP, BOTH = "T5", "CLIP", "both"  # which streams switch
SAMPLER = "euler"  # and no other
