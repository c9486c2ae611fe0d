"""What Influence Study's schema shares with its run. Pure."""

from __future__ import annotations

NAME = "Influence Study"
PARTED = "||"  # in a line, between the CLIP prompt and the T5 prompt
EMPTY, ZEROS = "empty prompt", "zeros"
NO_FILE = "(none)"
