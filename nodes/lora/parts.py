"""The part and the block of FLUX.1 that a weight belongs to, by its name in a MODEL or CLIP. Pure.

A LoRA is sorted by the weights that it changes, so the format of its file does not matter.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..condition.blocks import Depth
from ..keys import T5XXL, TRANSFORMER

CLIP_ENCODER, T5_ENCODER = "clip_encoder", "t5_encoder"
CLIP_STREAM, T5_STREAM, IMAGE, JOINT = "clip_stream", "t5_stream", "image", "joint"
# Every part, in the order of the nodes' inputs and the pictures' rows, with its name for people.
TITLES = {
    CLIP_ENCODER: "CLIP-L encoder",
    T5_ENCODER: "T5 encoder",
    CLIP_STREAM: "CLIP stream",
    T5_STREAM: "T5 stream",
    IMAGE: "image",
    JOINT: "joint",
}
PARTS = tuple(TITLES)
ENCODERS = (CLIP_ENCODER, T5_ENCODER)

# Of the first matching name. Time and guidance are added to CLIP's vector before any modulation, so they belong to the
# CLIP stream. Single blocks compute text and image with the same weights, in which the two cannot be told apart.
_RULES = (
    (CLIP_STREAM, r"(vector_in|time_in|guidance_in)\.|final_layer\.adaLN_modulation\."),
    (CLIP_STREAM, r"double_blocks\.\d+\.(img|txt)_mod\.|single_blocks\.\d+\.modulation\."),
    (T5_STREAM, r"txt_in\.|double_blocks\.\d+\.txt_(attn|mlp)\."),
    (IMAGE, r"img_in\.|final_layer\.linear\.|double_blocks\.\d+\.img_(attn|mlp)\."),
    (JOINT, r"single_blocks\.\d+\."),
)
_COMPILED = tuple((part, re.compile(rule)) for part, rule in _RULES)
_BLOCK = re.compile(r"(double|single)_blocks\.(\d+)\.")


class Place(NamedTuple):
    """A part, and the block's number (condition/blocks.py); None for a weight outside the blocks."""

    part: str
    block: int | None = None


def place_of(name: str, depth: Depth) -> Place:
    """The place of a weight, by its full name, in a model of this depth.

    Raises ValueError for a weight of the transformer that is in no part: FLUX.1 has none.
    """
    if not name.startswith(TRANSFORMER):
        return Place(T5_ENCODER if name.startswith(f"{T5XXL}.") else CLIP_ENCODER)
    rest = name.removeprefix(TRANSFORMER)
    part = next((part for part, rule in _COMPILED if rule.match(rest)), None)
    if part is None:
        raise ValueError(f"Got the weight {name!r}, which is in no part of FLUX.1.")
    found = _BLOCK.match(rest)
    if found is None:
        return Place(part)
    return Place(part, int(found[2]) + (depth.double if found[1] == "single" else 0))
