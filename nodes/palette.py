"""The pack's colours on white and on dark: of a page, each stream, the parts of a grid; and the heat colours. Pure.

js/lib/palette.mjs and js/lib/cividis.mjs hold copies; tests/unit/test_palette.py compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]  # 0 to 255


@dataclass(frozen=True)
class Colours:
    """The colours of drawn pages on one ground; nodes/theme.py says which ones are asked for."""

    paper: Colour
    ink: Colour
    muted: Colour
    rule: Colour
    clip: Colour
    t5: Colour
    t5_pale: Colour  # the effect of a word's own rows
    lora: Colour
    both: Colour
    clip_lora: Colour
    t5_lora: Colour
    clip_t5_lora: Colour
    rest: Colour
    zero: Colour  # of a map, where it is 0
    far: Colour  # what the hue of a map tends to, where it is 1

    @property
    def seed(self) -> Colour:
        return self.muted

    def of(self, name: str) -> Colour:
        """The colour of this name: a field, or one of PARTS."""
        return getattr(self, name)


# Shares of the variance of a grid's pictures: each stream, LoRAs, their interactions, the seed, the seed with the rest.
PARTS = ("clip", "t5", "lora", "both", "clip_lora", "t5_lora", "clip_t5_lora", "seed", "rest")

# Blue and amber can be told apart with every kind of colour blindness. Words, dashes or shapes repeat what they mean.
LIGHT = Colours(
    paper=(255, 255, 255), ink=(28, 30, 36), muted=(110, 114, 124), rule=(222, 224, 230),
    clip=(63, 120, 158), t5=(173, 100, 51), t5_pale=(228, 176, 140), lora=(46, 92, 62), both=(122, 92, 132),
    clip_lora=(48, 110, 112), t5_lora=(112, 100, 48), clip_t5_lora=(96, 82, 92), rest=(142, 145, 154),
    zero=(250, 250, 248), far=(0, 0, 0),
)  # fmt: skip
# The paper is that of a node; the hues are as bright as text on it needs.
DARK = Colours(
    paper=(37, 39, 41), ink=(224, 226, 230), muted=(158, 162, 170), rule=(66, 68, 73),
    clip=(98, 156, 198), t5=(210, 136, 84), t5_pale=(148, 104, 76), lora=(98, 156, 114), both=(170, 136, 184),
    clip_lora=(78, 158, 158), t5_lora=(166, 150, 82), clip_t5_lora=(160, 136, 150), rest=(112, 115, 123),
    zero=(44, 45, 48), far=(255, 255, 255),
)  # fmt: skip

# How much a map covers the picture where it is 1, in percent: where it is lower, as much less. js/heatmap/picture.mjs
# begins with the same.
OPACITY = 80

# Every sixteenth colour of cividis (Nunez, Anderton and Renslow 2018): perceptually uniform, and nearly the same with
# red-green colour blindness.
CIVIDIS: tuple[Colour, ...] = (
    (0, 34, 78), (0, 44, 105), (29, 54, 111), (52, 65, 108), (69, 76, 107), (84, 87, 109), (98, 98, 112),
    (111, 110, 117), (124, 121, 120), (139, 134, 120), (155, 147, 119), (171, 161, 116), (188, 175, 111),
    (206, 190, 103), (224, 205, 91), (243, 221, 73), (254, 232, 56),
)  # fmt: skip
