"""The subgraphs of templates that are not about sampling: several stages in one node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .folding import folded
from .parts import DRAW, OPEN, REPAINT, SAMPLE, Node, clip_prompt, decode, dual, latent, sampler, t5_prompt, vae


@dataclass(frozen=True)
class Inside:
    """boxes     each node's x, y, width and height, by its key
    takes     (key, its input, the name outside)
    gives     (key, its output, the name outside)"""

    nodes: tuple[Node, ...]
    boxes: Mapping[str, tuple[int, int, int, int]]
    takes: tuple[tuple[str, str, str], ...]
    gives: tuple[tuple[str, int, str], ...]

    def definition(self, name: str, graph: dict[str, Any], numbers: Mapping[str, str]) -> dict[str, Any]:
        """From a serialized graph of its nodes."""
        takes = [(int(numbers[key]), taken, outside) for key, taken, outside in self.takes]
        gives = [(int(numbers[key]), slot, outside) for key, slot, outside in self.gives]
        return folded(name, graph, takes, gives)


SAMPLING = Inside(
    (latent(), vae(), sampler(model=OPEN, positive=OPEN), decode()),
    {"latent": (0, 0, 260, 118), "vae": (0, 180, 260, 62), "sampler": (310, 0, 280, 390), "decode": (640, 0, 225, 78)},
    (
        ("sampler", "model", "model"),
        ("sampler", "positive", "positive"),
        ("sampler", "seed", "seed"),
        ("sampler", "steps", "steps"),
        ("latent", "width", "width"),
        ("latent", "height", "height"),
        ("vae", "vae_name", "vae_name"),
    ),
    (("decode", 0, "IMAGE"), ("sampler", 0, "LATENT")),
)

# ---- from the prompts to the picture

PROMPTS = (clip_prompt("", clip=OPEN), t5_prompt("", clip=OPEN), dual())
PROMPT_BOXES = {"vec": (0, 0, 310, 250), "txt": (0, 320, 310, 330), "dual": (360, 0, 240, 90)}
PROMPT_TAKES = (
    ("vec", "clip", "clip"),
    ("txt", "clip", "t5"),
    ("sampler", "model", "model"),
    ("decode", "vae", "vae"),
)
SAMPLER_BOXES = {"sampler": (650, 0, 280, 390), "decode": (980, 0, 225, 78)}

DRAWING = Inside(
    (*PROMPTS, latent(), sampler(model=OPEN), decode(vae=OPEN)),
    {**PROMPT_BOXES, "latent": (360, 160, 240, 118), **SAMPLER_BOXES},
    (
        *PROMPT_TAKES,
        ("vec", "text", "CLIP prompt"),
        ("txt", "text", "T5 prompt"),
        ("sampler", "seed", "seed"),
        ("latent", "width", "width"),
        ("latent", "height", "height"),
    ),
    (("decode", 0, "IMAGE"),),
)

# Other names than those above: two of a name in one graph would have the same value.
REPAINTING = Inside(
    (
        *PROMPTS,
        Node("grow", "GrowMask", "", {"expand": 8}, {"mask": OPEN}),
        Node("encode", "VAEEncode", "", {}, {"pixels": OPEN, "vae": OPEN}),
        Node("masked", "SetLatentNoiseMask"),
        sampler(model=OPEN),
        decode(vae=OPEN),
    ),
    {
        **PROMPT_BOXES,
        "grow": (360, 160, 240, 90),
        "encode": (360, 320, 240, 50),
        "masked": (360, 440, 240, 50),
        **SAMPLER_BOXES,
    },
    (
        *PROMPT_TAKES,
        ("encode", "vae", "vae"),
        ("encode", "pixels", "image"),
        ("grow", "mask", "mask"),
        ("vec", "text", "new CLIP prompt"),
        ("txt", "text", "new T5 prompt"),
        ("sampler", "seed", "new seed"),
        ("grow", "expand", "grow mask by"),
    ),
    (("decode", 0, "IMAGE"),),
)

SUBGRAPHS = {SAMPLE: SAMPLING, DRAW: DRAWING, REPAINT: REPAINTING}
