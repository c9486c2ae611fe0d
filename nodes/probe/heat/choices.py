"""What the schemas of Token Heatmap and Show Heatmap share with their runs. Pure."""

from __future__ import annotations

MASS, FLOW, OUTPUT = "mass", "flow", "output"
ALL_HEADS = -1  # where the heads of a block are chosen by number
SOFT, HARD = "soft", "hard"
CONCEPT = "concept"  # the measure of Concept Heatmap
BACKGROUND = "background, floor, ground, sky"
