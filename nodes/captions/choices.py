"""What Caption Check's schema shares with its runs. Pure."""

from __future__ import annotations

NAME = "Caption Check"
# The trainers' T5 lengths, with the end token: 512 for dev and 256 for schnell (sd-scripts), 77 (OneTrainer's default).
T5_LENGTHS = ("512", "256", "128", "77")
