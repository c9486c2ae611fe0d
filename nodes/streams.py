"""The two streams, `vec` and `txt`, as values that flow between nodes. Pure torch.

FLUX.1 reads text twice: CLIP-L's `vec` modulates every block, and image tokens attend to the rows of T5's `txt`. A
stream is a tuple of spans, because a CLIP with scheduled hooks encodes its prompt once for each part of the sampling
run. Nearly always there is one span, for the whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from .flux1_sizes import TXT_WIDTH, VEC_WIDTH

VEC, TXT = "vec", "txt"  # the streams' names; ComfyUI's names for the same tensors are in keys.py


@dataclass(frozen=True, eq=False)
class AttnMask:
    """ComfyUI's `attention_mask` of a CONDITIONING: a bias on the attention logits between all tokens.

    `values` [B, L + h * w, L + h * w], the L rows of `txt` first. `size` is (h, w), the picture in tokens that the mask
    was made for; ComfyUI resizes that part to the actual picture. StyleModelApply (Redux) makes one with `attn_bias`.
    """

    values: Tensor
    size: tuple[int, int]

    @property
    def image(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def rows(self) -> int:
        """How many rows of `txt` the mask is for."""
        return self.values.shape[-1] - self.image


@dataclass(frozen=True, eq=False)
class Span:
    """One encoding, and the other values that a CONDITIONING holds with it.

    `extras` are CONDITIONING keys other than `pooled_output` and `guidance`: hooks, time ranges, masks, ControlNets.
    They are kept so that splitting and joining a CONDITIONING loses nothing.
    `bias` [B, L] (T5 only) is added to the attention logits of each row: prompt weights in mode 'attention'.
    `attn_mask` (T5 only) is for the rows of this text; another text has another mask, or none.
    `controls` are this stream's regions, routes and timelines: see condition/controls.py.
    """

    tensor: Tensor
    extras: Mapping[str, Any] = field(default_factory=dict)
    bias: Tensor | None = None
    controls: tuple[Any, ...] = ()
    attn_mask: AttnMask | None = None


@dataclass(frozen=True)
class Source:
    """What a stream was encoded from, as plain data, which can be saved with it.

    `tokens` are the encoder's chunks of (id, weight), with "embedding" for each row of a textual inversion. `encoder`
    returns the encoder's file name, content digest and patches; it is a function because it may have to read the file.
    `parts` are the prompts of a blend, each with the index of its first row; () for a prompt that is no blend.
    """

    text: str
    tokens: list[list[tuple[int | str, float]]]
    settings: Mapping[str, str]
    encoder: Callable[[], Mapping[str, str | None]]
    parts: tuple[tuple[int, Source], ...] = ()


@dataclass(frozen=True, eq=False)
class Stream:
    """Base class of ClipVec and T5Text. `source` is None if another pack's node encoded it."""

    spans: tuple[Span, ...]
    source: Source | None = None

    name: ClassVar[str]
    ndim: ClassVar[int]
    shape: ClassVar[str]

    def __post_init__(self):
        name = type(self).__name__
        if not self.spans:
            raise ValueError(f"{name}: got no encoding, expected at least one tensor {self.shape}.")
        for span in self.spans:
            if span.tensor.ndim != self.ndim:
                raise ValueError(
                    f"{name}: got a tensor of shape {list(span.tensor.shape)}, expected {self.shape}. "
                    "Connect the output of CLIP-L Encode to `vec` and that of T5 Encode to `txt`."
                )


@dataclass(frozen=True, eq=False)
class ClipVec(Stream):
    """The CLIP stream: `vec` [B, 768], the pooled output of CLIP-L, one vector per prompt."""

    name: ClassVar[str] = VEC
    ndim: ClassVar[int] = 2
    shape: ClassVar[str] = f"[B, {VEC_WIDTH}]"


@dataclass(frozen=True, eq=False)
class T5Text(Stream):
    """The T5 stream: `txt` [B, L, 4096], the last hidden states of T5-XXL, one row per token."""

    name: ClassVar[str] = TXT
    ndim: ClassVar[int] = 3
    shape: ClassVar[str] = f"[B, L, {TXT_WIDTH}]"
