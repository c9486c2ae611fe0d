"""The two streams from a prompt to a picture, as values that flow between nodes.

FLUX.1 reads text twice: CLIP-L's `vec` modulates every block alike, T5's `txt` gives the image tokens rows to attend
to. A stream is one of the two readings. It is a tuple of spans, because a CLIP with scheduled hooks encodes its prompt
once for every part of the sampling run; nearly always there is just one span, which holds throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from .flux1_sizes import TXT_WIDTH, VEC_WIDTH


@dataclass(frozen=True, eq=False)
class AttnMask:
    """ComfyUI's `attention_mask` of a CONDITIONING: what is added to the logits between all of its tokens.

    `values` [B, L + h * w, L + h * w], the L rows of `txt` first; `size` is (h, w), the picture as the mask has it
    (ComfyUI stretches that part over the real picture). StyleModelApply (Redux) makes one with `attn_bias`.
    """

    values: Tensor
    size: tuple[int, int]

    @property
    def image(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def rows(self) -> int:
        """How many rows of `txt` it is for."""
        return self.values.shape[-1] - self.image


@dataclass(frozen=True, eq=False)
class Span:
    """One encoding, and what ComfyUI keeps beside it in a CONDITIONING.

    `extras` are CONDITIONING keys other than `pooled_output` and `guidance`: hooks, time ranges, masks, ControlNets.
    They ride along, so that taking a CONDITIONING apart and putting it together again loses nothing.
    `bias` [B, L] is T5's alone: what the attention adds to the logits of each row, where weights act there.
    `attn_mask` is T5's alone too, because it is for its rows: another text has another mask, or none.
    `controls` are what else this stream asks of the model (regions, routes, timelines): see condition/controls.py.
    """

    tensor: Tensor
    extras: Mapping[str, Any] = field(default_factory=dict)
    bias: Tensor | None = None
    controls: tuple[Any, ...] = ()
    attn_mask: AttnMask | None = None


@dataclass(frozen=True)
class Source:
    """What a stream was made of, as plain data, so that a shared file can tell it.

    `tokens` are the encoder's chunks of (id, weight), with "embedding" for each row of a textual inversion. `encoder`
    tells the file, its content and its patches; it is a function because it may have to read the encoder's file.
    `parts` are the prompts that a mix was made of, each with the row that its tokens begin at; () for a prompt of its
    own.
    """

    text: str
    tokens: list[list[tuple[int | str, float]]]
    settings: Mapping[str, str]
    encoder: Callable[[], Mapping[str, str | None]]
    parts: tuple[tuple[int, Source], ...] = ()


@dataclass(frozen=True, eq=False)
class Stream:
    """What both streams have in common; use ClipVec and T5Text. `source` is known where one of our nodes encoded it."""

    spans: tuple[Span, ...]
    source: Source | None = None

    name: ClassVar[str]
    ndim: ClassVar[int]
    shape: ClassVar[str]

    def __post_init__(self):
        name = type(self).__name__
        if not self.spans:
            raise ValueError(f"{name}: got no encoding at all, expected at least one tensor {self.shape}.")
        for span in self.spans:
            if span.tensor.ndim != self.ndim:
                raise ValueError(
                    f"{name}: got a tensor of shape {list(span.tensor.shape)}, expected {self.shape}. "
                    "Connect the output of CLIP-L Encode to `vec` and that of T5 Encode to `txt`."
                )


@dataclass(frozen=True, eq=False)
class ClipVec(Stream):
    """The CLIP stream: `vec` [B, 768], the pooled output of CLIP-L, one vector for a whole prompt."""

    name: ClassVar[str] = "vec"
    ndim: ClassVar[int] = 2
    shape: ClassVar[str] = f"[B, {VEC_WIDTH}]"


@dataclass(frozen=True, eq=False)
class T5Text(Stream):
    """The T5 stream: `txt` [B, L, 4096], the last hidden states of T5-XXL, a row per token."""

    name: ClassVar[str] = "txt"
    ndim: ClassVar[int] = 3
    shape: ClassVar[str] = f"[B, L, {TXT_WIDTH}]"
