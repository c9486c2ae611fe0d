"""Controls: what a prompt asks of the model beyond ComfyUI's own, as data in its CONDITIONING. Pure torch.

A CONDITIONING's entry may carry `model_conds`, values that ComfyUI's samplers hand to the model beside the prompt, a
row for each picture. Ours is one of them, so it belongs to its prompt alone and survives native nodes. A model that
does not carry controls out would take it in silence; so it refuses to be handed over until sample/apply.py, the one
place where controls are carried out, has made it `ready` for a moment of a run.

What a control was made for, the entry's `txt` and `vec`, is remembered beside it: native nodes between there and the
sampler may have changed them, and reconcile.py says what becomes of the control then.

A new control is a frozen dataclass here. Its tensors have a row for each prompt of a batch, all else is plain data;
batching goes by that alone. What it does is a pure function, and a row in sample/apply.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..keys import MODEL_CONDS
from ..streams import Span
from .blocks import ALL, Blocks
from .timepoints import ALWAYS, Point, Range

KEY = "flux_duet"  # among model_conds, and among the keyword arguments of Flux's forward
VEC, TXT = "vec", "txt"


@dataclass(frozen=True, eq=False)
class Control:
    """What all controls have in common. `stream` is the stream that carries it."""

    stream: ClassVar[str]


@dataclass(frozen=True, eq=False)
class Bias(Control):
    """`columns` [B, L] is added to every attention logit of the first L text columns, in every block.

    It is the logarithm of the tokens' weights: weight 2 is the token twice, weight 0 is no token.
    """

    columns: Tensor
    stream: ClassVar[str] = TXT


def _no_rows() -> Tensor:
    return torch.empty(1, 0, 0)


@dataclass(frozen=True, eq=False)
class PlacedText(Control):
    """A text of its own, `rows` [B, L, 4096], which no other text reads. It stands behind `txt` in a forward alone:
    in a CONDITIONING `txt` is the first text, and whoever else reads that (ControlNets, native nodes) sees no other.

    The picture looks at it where `mask` [B, H, W] is (None: everywhere), as if its tokens stood there `strength` times;
    `ratio` is how much is left there of the texts before it, over which it lies like paint. `inside` is the number of
    the text in whose place and blocks alone it counts; 0 is the first of `txt`, which is everywhere.
    `bias` [B, L] is of its own tokens' weights. `attn_mask` is ComfyUI's for these rows, [B, L + h * w, L + h * w], and
    `attn_size` the picture's size in it, (h, w), to be stretched; None where it is as large as the picture is.
    """

    rows: Tensor = field(default_factory=_no_rows)
    bias: Tensor | None = None
    mask: Tensor | None = None
    strength: float = 1.0
    ratio: float = 0.0
    inside: int = 0
    blocks: Blocks = ALL
    when: Range = ALWAYS
    attn_mask: Tensor | None = None
    attn_size: tuple[int, int] | None = None
    stream: ClassVar[str] = TXT

    @property
    def length(self) -> int:
        return self.rows.shape[1]


@dataclass(frozen=True, eq=False)
class Nag(PlacedText):
    """A text that the picture's attention is steered away from: NAG (arXiv 2505.21179). It has no mask."""

    scale: float = 5.0
    tau: float = 2.5
    alpha: float = 0.25


@dataclass(frozen=True, eq=False)
class VecDelta(Control):
    """In some blocks `vec` moves, after CLIP's MLP: by the sum of weight * vector_in(v) over `vecs` [B, K, 768].

    `own` is the weight of the prompt's own vector among them. Block routing is (1 * other, -1 * own).
    """

    vecs: Tensor
    weights: tuple[float, ...]
    own: float = 0.0
    blocks: Blocks = ALL
    when: Range = ALWAYS
    stream: ClassVar[str] = VEC


@dataclass(frozen=True, eq=False)
class Keyframe:
    """What a timeline plays from `start` on; where `fade` is later, it comes in little by little until then.

    Of T5's rows the first `rows` stand for tokens, the rest only fill it up.
    """

    span: Span
    start: Point
    fade: Point
    rows: int = 0


@dataclass(frozen=True, eq=False)
class Timeline(Control):
    """Takes the place of a stream's whole encoding: one cue after another. See time/timeline.py."""

    keyframes: tuple[Keyframe, ...]


@dataclass(frozen=True, eq=False)
class ClipTimeline(Timeline):
    stream: ClassVar[str] = VEC


@dataclass(frozen=True, eq=False)
class T5Timeline(Timeline):
    """`more` [B, R, 4096] are rows that native nodes have put behind the prompt: they stay, whichever cue plays."""

    more: Tensor | None = None
    stream: ClassVar[str] = TXT


@dataclass(frozen=True, eq=False)
class ActiveRange(Control):
    """The whole prompt counts in this part of the run alone; outside it gives what the run's first prompt gives."""

    when: Range
    stream: ClassVar[str] = VEC


Controls = tuple[Control, ...]


def controls_in(span: Span) -> Controls:
    """What a stream's encoding asks for, its weights among it."""
    return (*(() if span.bias is None else (Bias(span.bias),)), *span.controls)


# ---- batching, by the dataclasses' fields alone


def repeated_controls(controls: Controls, count: int) -> Controls:
    """As many rows as a batch has pictures, as ComfyUI's repeat_to_batch_size does it."""

    def rows(tensor: Tensor) -> Tensor:
        if tensor.shape[0] == count:
            return tensor
        return tensor.repeat(math.ceil(count / tensor.shape[0]), *[1] * (tensor.ndim - 1))[:count]

    return tuple(replace(each, **{name: rows(value) for name, value in _tensors(each).items()}) for each in controls)


def fit_one_batch(some: Controls, others: Controls) -> bool:
    """Whether two prompts' controls can go through the model in one batch."""
    return len(some) == len(others) and all(map(_fits, some, others))


def _fits(one: Control, other: Control) -> bool:
    shapes, other_shapes = ({name: value.shape[1:] for name, value in _tensors(each).items()} for each in (one, other))
    return type(one) is type(other) and shapes == other_shapes and _plain(one) == _plain(other)


def joined_controls(parts: Sequence[Controls]) -> Controls:
    """One after another, as rows of a batch."""
    out = []
    for same in zip(*parts, strict=True):
        rows = {name: torch.cat([_tensors(each)[name] for each in same]) for name in _tensors(same[0])}
        out.append(replace(same[0], **rows))
    return tuple(out)


def _tensors(control: Control) -> dict[str, Tensor]:
    values = {each.name: getattr(control, each.name) for each in fields(control)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def _plain(control: Control) -> dict[str, Any]:
    return {each.name: getattr(control, each.name) for each in fields(control) if each.name not in _tensors(control)}


# ---- in a CONDITIONING


@dataclass(frozen=True, eq=False)
class Made:
    """What an entry's controls were made for: its txt [B, L, 4096] and its vec [B, 768], if it had one."""

    txt: Tensor
    vec: Tensor | None


@dataclass(frozen=True, eq=False)
class ControlCond:
    """Controls in the form in which ComfyUI batches what a model is given; see comfy/conds.py, CONDRegular.

    `made` is None once they follow what the entry holds (reconcile.py); `is_ready` once they are of one moment.
    """

    controls: Controls
    made: Made | None = None
    is_ready: bool = False

    def process_cond(self, batch_size: int, **_) -> ControlCond:
        if not self.is_ready:
            names = ", ".join(dict.fromkeys(TITLES[type(each)] for each in self.controls))
            raise ValueError(
                f"This CONDITIONING asks for {names}, and the model that it reached does not carry that out. Put Apply "
                "Duet between the model and this sampler, or use MMDiT Sampler."
            )
        return replace(self, controls=repeated_controls(self.controls, batch_size))

    def can_concat(self, other: Any) -> bool:
        return isinstance(other, ControlCond) and fit_one_batch(self.controls, other.controls)

    def concat(self, others: Sequence[ControlCond]) -> Controls:
        return joined_controls([self.controls, *(other.controls for other in others)])

    def size(self) -> list[int]:
        return [1]  # for ComfyUI's memory estimate: next to nothing


TITLES = {
    Bias: "T5 weights in the attention",
    PlacedText: "texts of their own (T5 Region, Block Routing)",
    Nag: "a negative in the attention (NAG)",
    VecDelta: "a CLIP vector that differs from block to block",
    ClipTimeline: "a CLIP timeline",
    T5Timeline: "a T5 timeline",
    ActiveRange: "a prompt for a part of the run",
}


def put_controls(extras: Mapping[str, Any], controls: Controls, made: Made | None = None) -> dict[str, Any]:
    """The extras of a CONDITIONING's entry, with these controls, if there are any, as its controls.

    `made` is what they were made for; None where they are known to follow what the entry holds.
    """
    return _with(extras, ControlCond(tuple(controls), made) if controls else None)


def ready_entry(entry: Mapping[str, Any], controls: Controls) -> dict[str, Any]:
    """An entry whose controls are these, and may be handed to a model."""
    return _with(entry, ControlCond(tuple(controls), is_ready=True) if controls else None)


def _with(extras: Mapping[str, Any], cond: ControlCond | None) -> dict[str, Any]:
    rest, _ = take_controls(extras)
    return rest if cond is None else {**rest, MODEL_CONDS: {**rest.get(MODEL_CONDS, {}), KEY: cond}}


def take_controls(extras: Mapping[str, Any]) -> tuple[dict[str, Any], ControlCond | None]:
    """The extras without controls, and the controls with what they were made for, if there are any."""
    conds = dict(extras.get(MODEL_CONDS, {}))
    cond = conds.pop(KEY, None)
    rest = {key: value for key, value in extras.items() if key != MODEL_CONDS}
    return {**rest, MODEL_CONDS: conds} if conds else rest, cond


def controls_of(extras: Mapping[str, Any]) -> Controls:
    """Those of an entry, or of a prompt that is being sampled."""
    cond = extras.get(MODEL_CONDS, {}).get(KEY)
    return cond.controls if cond else ()


def has_controls(conditioning: Sequence) -> bool:
    """Whether any entry of a CONDITIONING has controls."""
    return any(controls_of(entry) for _, entry in conditioning)
