"""The pack's colours: a hue for each stream, the parts of a grid, and the heat colours. Pure.

js/lib/palette.mjs and js/lib/cividis.mjs hold copies; tests/unit/test_palette.py compares them.
"""

from __future__ import annotations

Colour = tuple[int, int, int]  # 0 to 255

# Blue and amber can be told apart with every kind of colour blindness. Words, dashes or shapes repeat what they mean.
CLIP_HUE: Colour = (63, 120, 158)
T5_HUE: Colour = (176, 102, 52)
T5_PALE: Colour = (228, 176, 140)  # the effect of a word's own rows

PAPER: Colour = (255, 255, 255)
INK: Colour = (28, 30, 36)
MUTED: Colour = (110, 114, 124)
RULE: Colour = (222, 224, 230)

# Shares of the variance of a grid's pictures: each stream, LoRAs, their interactions, the seed, the seed with the rest.
PART_HUES: dict[str, Colour] = {
    "clip": CLIP_HUE,
    "t5": T5_HUE,
    "lora": (46, 92, 62),
    "both": (122, 92, 132),
    "clip_lora": (48, 110, 112),
    "t5_lora": (112, 100, 48),
    "clip_t5_lora": (96, 82, 92),
    "seed": MUTED,
    "rest": (160, 163, 172),
}

# Every sixteenth colour of cividis (Nunez, Anderton and Renslow 2018): perceptually uniform, and nearly the same with
# red-green colour blindness.
CIVIDIS: tuple[Colour, ...] = (
    (0, 34, 78), (0, 44, 105), (29, 54, 111), (52, 65, 108), (69, 76, 107), (84, 87, 109), (98, 98, 112),
    (111, 110, 117), (124, 121, 120), (139, 134, 120), (155, 147, 119), (171, 161, 116), (188, 175, 111),
    (206, 190, 103), (224, 205, 91), (243, 221, 73), (254, 232, 56),
)  # fmt: skip
