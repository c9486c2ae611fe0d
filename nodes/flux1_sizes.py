"""FLUX.1's sizes as they were published, and its encoders': for words, and where no model is at hand to be asked. Pure.

A MODEL says its own (`family.flux1` gives its FluxParams): the nano models are smaller. js/lib/flux1_sizes.mjs has the
same numbers for the front end.
"""

from __future__ import annotations

DOUBLE, SINGLE = 19, 38  # blocks
BLOCKS = DOUBLE + SINGLE
NUMBERS = f"0 to {DOUBLE - 1} are FLUX.1's double, {DOUBLE} to {BLOCKS - 1} its single blocks"
HEADS = 24  # of a block's attention
TIME_WIDTH = 256  # of the sinusoidal embedding of a time or a guidance

VEC_WIDTH, TXT_WIDTH = 768, 4096  # CLIP-L's vector, and T5-XXL's rows
CLIP_POSITIONS, LONG_CLIP_POSITIONS = 77, 248  # tokens, with a start and an end
T5_ROWS = 256  # up to which ComfyUI fills a T5 prompt

PIXEL = 8  # the side of a latent's pixel, in the picture's
PATCH = 2  # the side of an image token, in the latent's
TOKEN = PIXEL * PATCH
# What mu is for so many image tokens (BFL's get_lin_function); between and past them it lies on the line.
MU_LINE = (256, 0.5), (4096, 1.15)
