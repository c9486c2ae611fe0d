"""What the schema of Heatmap of a Picture shares with its run. Pure."""

from __future__ import annotations

NAME = "Heatmap of a Picture"
# ConceptAttention's code (Helbling et al. 2025, arXiv 2502.04320) looks at a given picture at step 2 of schnell's 4,
# where sigma is 0.5, and takes the mean over 5 noises.
SIGMA, NOISES = 0.5, 5
MEGAPIXELS = 1.0  # in units of 1024 x 1024 pixels: FLUX.1's usual size
