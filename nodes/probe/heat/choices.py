"""What the schemas of Token Heatmap and Show Heatmap share with their runs. Pure."""

from __future__ import annotations

MASS, FLOW, OUTPUT, THROUGH, CAUSAL = "mass", "flow", "output", "through T5", "causal"
PRODUCT = "through T5 x causal"
MEASURES = (MASS, FLOW, OUTPUT, THROUGH, CAUSAL, PRODUCT)  # of Token Heatmap
NEED_T5 = (THROUGH, CAUSAL, PRODUCT)  # measures that encode the prompt again without a word
AT = "0.9, 0.6, 0.3"  # levels of noise at which the measure causal evaluates the model
ALL_HEADS = -1  # where the heads of a block are chosen by number
SOFT, HARD = "soft", "hard"
OFF, SPREAD = "off", "spread"  # how Show Heatmap refines the maps
CONCEPT = "concept"  # the measure of Concept Heatmap
BACKGROUND = "background, floor, ground, sky"
