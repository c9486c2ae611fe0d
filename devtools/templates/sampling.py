"""The subgraph of the templates that are not about sampling: empty latent, sampler, VAE and decoder in one node."""

from __future__ import annotations

from .folding import folded
from .parts import OPEN, SAMPLE, Node, decode, latent, sampler, vae

NODES: tuple[Node, ...] = (latent(), vae(), sampler(model=OPEN, positive=OPEN), decode())
BOXES = {
    "latent": (0, 0, 260, 118),
    "vae": (0, 180, 260, 62),
    "sampler": (310, 0, 280, 390),
    "decode": (640, 0, 225, 78),
}
TAKES = (
    ("sampler", "model", "model"),
    ("sampler", "positive", "positive"),
    ("sampler", "seed", "seed"),
    ("sampler", "steps", "steps"),
    ("latent", "width", "width"),
    ("latent", "height", "height"),
    ("vae", "vae_name", "vae_name"),
)
GIVES = (("decode", 0, "IMAGE"), ("sampler", 0, "LATENT"))


def definition(graph: dict, numbers: dict[str, str]) -> dict:
    """The definition from a serialized graph of NODES."""
    takes = [(int(numbers[key]), name, outside) for key, name, outside in TAKES]
    gives = [(int(numbers[key]), slot, outside) for key, slot, outside in GIVES]
    return folded(SAMPLE, graph, takes, gives)
