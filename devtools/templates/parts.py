"""What a template is described with: nodes in columns, and a note below. Pure: the standard library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

NOTE = "How to use this"
OPEN = "-"
# Kinds of nodes that are subgraphs.
SAMPLE = "Sample and Decode"  # sampler, empty latent, VAE and decoder
DRAW = "Draw a Picture"  # from two prompts
REPAINT = "Repaint under a Mask"  # from two prompts, a picture and a mask
VAE = "nano_ae.safetensors"
SEED = {"seed": 1, "control_after_generate": "fixed"}
LOADERS, PROMPT, STAGE, PICTURE = 236, 310, 228, 380  # widths of columns


@dataclass(frozen=True)
class Node:
    """A node to be made. What an input takes that neither `links` nor a widget gives is the output of the last node
    before it that has the type.

    links    input -> "key" of the node whose first output it takes, or "key/1" for its second; OPEN for none
    height     at least; more if the node needs more
    collapsed  shown as its title alone
    """

    key: str
    kind: str
    title: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    height: int = 0
    collapsed: bool = False


@dataclass(frozen=True)
class Column:
    """Nodes below each other. Each wire goes from a column to one on its right."""

    width: int
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Note:
    """A text below the columns `first` to `last`."""

    text: str
    first: int
    last: int


@dataclass(frozen=True)
class Template:
    """`slug` is the name of its API file, `name` that of its file for the front end, its title in ComfyUI."""

    slug: str
    name: str
    columns: tuple[Column, ...]
    note: Note

    def nodes(self) -> Iterator[Node]:
        for column in self.columns:
            yield from column.nodes


def column(width: int, *nodes: Node) -> Column:
    return Column(width, nodes)


# ---- the stages of a run


def load_clip() -> Node:
    return Node("clip", "FluxDuetLoadClip", values={"clip_name": "nano_clip_l.safetensors"})


def load_t5() -> Node:
    return Node("t5", "FluxDuetLoadT5", values={"t5_name": "nano_t5xxl.safetensors"})


def unet() -> Node:
    return Node("unet", "UNETLoader", values={"unet_name": "nano_flux.safetensors"})


def vae() -> Node:
    return Node("vae", "VAELoader", values={"vae_name": VAE})


def latent() -> Node:
    return Node("latent", "EmptySD3LatentImage", "Empty Latent", {"width": 128, "height": 128, "batch_size": 1})


def files(*more: Node, width: int = LOADERS) -> Column:
    """The models and the picture's size."""
    return column(width, load_clip(), load_t5(), unet(), vae(), latent(), *more)


def loaders(*more: Node, width: int = LOADERS) -> Column:
    """The models; the VAE and the picture's size are in SAMPLE."""
    return column(width, load_clip(), load_t5(), unet(), *more)


def clip_prompt(text: str, key: str = "vec", title: str = "", clip: str = "clip", **more: Any) -> Node:
    return Node(key, "FluxDuetClipEncode", title, {"text": text}, {"clip": clip}, **more)


def t5_prompt(text: str, key: str = "txt", title: str = "", clip: str = "t5", **more: Any) -> Node:
    return Node(key, "FluxDuetT5Encode", title, {"text": text}, {"clip": clip}, **more)


def dual(key: str = "dual", title: str = "", **links: str) -> Node:
    return Node(key, "FluxDuetDualPrompt", title, {"guidance": 3.5}, links)


def sampler(seed: int = 1, **links: str) -> Node:
    return Node("sampler", "FluxDuetSampler", "", {"seed": seed, "control_after_generate": "fixed", "steps": 20}, links)


def decode(**links: str) -> Node:
    return Node("decode", "FluxDuetDecode", links=links)


def sample(key: str = "sample", title: str = "", seed: int = 1, **links: str) -> Node:
    return Node(key, SAMPLE, title, {"seed": seed}, links)


def save(title: str = "", source: str = "", key: str = "", height: int = 430) -> Node:
    links = {"images": source} if source else {}
    return Node(key or title, "SaveImage", title, {"filename_prefix": "FluxDuet"}, links, height)


# ---- what the notes have in common

REAL = (
    "The nano files ship with Flux Duet and draw 128 x 128 pixels in seconds. For real pictures choose your own "
    "*flux1-dev*, *clip_l*, *t5xxl* and *ae* files and set 1024 x 1024."
)
NATIVE = "**KSampler and other native samplers need Apply Duet between the model and them** for this."


def note(*paragraphs: str, first: int = 0, last: int) -> Note:
    return Note("\n\n".join(paragraphs), first, last)
