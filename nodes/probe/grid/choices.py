"""What Prompt Grid's schema shares with its run. Pure."""

from __future__ import annotations

NAME = "Prompt Grid"
EACH, MEAN = "one for each seed", "mean of the seeds"  # of the contact sheets
NONE = "none"  # the line of `loras` for the pictures without LoRA
