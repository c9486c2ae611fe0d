"""What the schemas of the encoders' nodes share with their runs, beside T5's lengths. Pure."""

from __future__ import annotations

# How weights act on T5's rows. Embedding: as in ComfyUI, each row moves away from the empty prompt's row. Attention:
# the image looks at a token as much as if it stood there so many times. Off: parentheses are text.
EMBEDDING, ATTENTION, OFF = "embedding", "attention", "off"
MODES = (EMBEDDING, ATTENTION, OFF)

# What becomes of a CLIP prompt of more than 75 tokens; clip_prompt.py carries it out.
FIRST, AVERAGE, STRONGEST = "first", "average", "strongest"
PAST = (FIRST, AVERAGE, STRONGEST)
