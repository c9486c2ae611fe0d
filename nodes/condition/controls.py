"""Controls: effects of a prompt that ComfyUI cannot express, as data in its CONDITIONING. Pure torch.

A CONDITIONING entry may have `model_conds`: values that ComfyUI's samplers pass to the model with the prompt, one row
per picture. The controls are one of them, so they belong to one prompt and survive native nodes. A model without our
wrappers would ignore them silently. Therefore `ControlCond` raises when it is batched, unless sample/apply.py, the only
place that carries controls out, has marked it as ready.

Controls are stored with the `txt` and `vec` that they were made for, because native nodes may change these before the
sampler; reconcile.py then adapts the controls.

A new control is a frozen dataclass in this file. Its tensors have one row per prompt of a batch, and its other fields
are plain data; batching relies on this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..keys import MODEL_CONDS
from ..streams import TXT, VEC, Span
from .blocks import ALL, Blocks
from .timepoints import ALWAYS, Point, Range

KEY = "flux_duet"  # in model_conds, and as a keyword argument of Flux.forward


@dataclass(frozen=True, eq=False)
class Control:
    """Base class. `stream` (VEC or TXT) is the stream that carries the control."""

    stream: ClassVar[str]


@dataclass(frozen=True, eq=False)
class Bias(Control):
    """Weights in the attention: `columns` [B, L] is added to all logits of the first L text columns, in every block.

    It is the logarithm of the tokens' weights: weight 2 acts as two copies of the token, weight 0 as none.
    """

    columns: Tensor
    stream: ClassVar[str] = TXT


def _no_rows() -> Tensor:
    return torch.empty(1, 0, 0)


@dataclass(frozen=True, eq=False)
class PlacedText(Control):
    """A separate text for a part of the picture, the blocks or the run: `rows` [B, L, 4096].

    No other text attends to it. Its rows are appended to `txt` only inside a forward; the `txt` of a CONDITIONING is
    the first text alone, which is what ControlNets and native nodes read.

    Image tokens in `mask` [B, H, W] (None: all) attend to it with weight `strength`. `ratio` is the factor for the
    weights of earlier texts there: 0 covers them, 1 keeps them. `inside` is the number of the text whose area and
    blocks limit this one; 0 is the first text, which is everywhere. `bias` [B, L] are its tokens' log weights.
    `attn_mask` [B, L + h * w, L + h * w] is ComfyUI's attention mask for these rows; `attn_size` (h, w) is the picture
    size that it was made for, None if it has the picture's actual size.
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
    """A negative in the attention: normalised attention guidance (NAG, arXiv 2505.21179). It has no mask."""

    scale: float = 5.0
    tau: float = 2.5
    alpha: float = 0.25


@dataclass(frozen=True, eq=False)
class VecDelta(Control):
    """Adds to `vec` in some blocks: the sum of weight * vector_in(v) over `vecs` [B, K, 768].

    `own` is the weight of the prompt's own vector in this sum. Block routing is 1 * other - 1 * own.
    """

    vecs: Tensor
    weights: tuple[float, ...]
    own: float = 0.0
    blocks: Blocks = ALL
    when: Range = ALWAYS
    stream: ClassVar[str] = VEC


@dataclass(frozen=True, eq=False)
class Keyframe:
    """One prompt of a timeline, active from `start` on; if `fade` is later, it fades in until then.

    `rows` is the number of T5's rows that are tokens; the rest are padding.
    """

    span: Span
    start: Point
    fade: Point
    rows: int = 0


@dataclass(frozen=True, eq=False)
class Timeline(Control):
    """Replaces a stream's encoding by that of one keyframe after another. See time/timeline.py."""

    keyframes: tuple[Keyframe, ...]


@dataclass(frozen=True, eq=False)
class ClipTimeline(Timeline):
    stream: ClassVar[str] = VEC


@dataclass(frozen=True, eq=False)
class T5Timeline(Timeline):
    """`appended` [B, R, 4096] are rows that native nodes have appended; they stay after every keyframe's rows."""

    appended: Tensor | None = None
    stream: ClassVar[str] = TXT


@dataclass(frozen=True, eq=False)
class ActiveRange(Control):
    """Limits the prompt to a part of the run; outside, its prediction is that of the first active prompt."""

    when: Range
    stream: ClassVar[str] = VEC


Controls = tuple[Control, ...]


def controls_in(span: Span) -> Controls:
    """All controls of a span, including its weights in the attention."""
    return (*(() if span.bias is None else (Bias(span.bias),)), *span.controls)


# ---- batching


def repeated_controls(controls: Controls, count: int) -> Controls:
    """Controls whose tensors have `count` rows, repeated or cut as by ComfyUI's repeat_to_batch_size."""

    def rows(tensor: Tensor) -> Tensor:
        if tensor.shape[0] == count:
            return tensor
        return tensor.repeat(math.ceil(count / tensor.shape[0]), *[1] * (tensor.ndim - 1))[:count]

    return tuple(replace(each, **{name: rows(value) for name, value in _tensors(each).items()}) for each in controls)


def fit_one_batch(some: Controls, others: Controls) -> bool:
    """Whether two prompts' controls can be evaluated in one batch: same kinds, settings and shapes."""
    return len(some) == len(others) and all(map(_fits, some, others))


def _fits(one: Control, other: Control) -> bool:
    shapes, other_shapes = ({name: value.shape[1:] for name, value in _tensors(each).items()} for each in (one, other))
    return type(one) is type(other) and shapes == other_shapes and _plain(one) == _plain(other)


def joined_controls(parts: Sequence[Controls]) -> Controls:
    """The controls of several prompts as one batch: their tensors, concatenated."""
    if len(parts) == 1:
        return parts[0]
    out = []
    for same in zip(*parts, strict=True):
        rows = {name: torch.cat([_tensors(each)[name].to(first.device) for each in same])
                for name, first in _tensors(same[0]).items()}  # fmt: skip
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
    """The txt [B, L, 4096] and vec [B, 768] (None if there was none) that an entry's controls were made for."""

    txt: Tensor
    vec: Tensor | None


@dataclass(frozen=True, eq=False)
class ControlCond:
    """Controls with the interface that ComfyUI uses to batch model inputs; see comfy/conds.py, CONDRegular.

    `made` is None after the controls were adapted to the entry (reconcile.py); `is_ready` is True after they were
    evaluated at one moment.
    """

    controls: Controls
    made: Made | None = None
    is_ready: bool = False

    def process_cond(self, batch_size: int, **_) -> ControlCond:
        if not self.is_ready:
            names = ", ".join(dict.fromkeys(TITLES[type(each)] for each in self.controls))
            raise ValueError(
                f"This CONDITIONING has {names}, which this sampler's model cannot apply by itself. Put Apply Duet "
                "between the model and this sampler, or use MMDiT Sampler."
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
    PlacedText: "a T5 prompt for a region or for some blocks (T5 Region, Block Routing)",
    Nag: "a T5 negative prompt (NAG)",
    VecDelta: "a CLIP prompt that differs between blocks (CLIP Negative, Block Routing)",
    ClipTimeline: "a CLIP timeline (Prompt Schedule)",
    T5Timeline: "a T5 timeline (Prompt Schedule)",
    ActiveRange: "a prompt that acts only in some steps (Limit Prompt to Steps)",
}


def put_controls(extras: Mapping[str, Any], controls: Controls, made: Made | None = None) -> dict[str, Any]:
    """The extras of a CONDITIONING entry with its controls replaced by these.

    `made` is what they were made for; None if they already fit the entry.
    """
    return _with(extras, ControlCond(tuple(controls), made) if controls else None)


def ready_entry(entry: Mapping[str, Any], controls: Controls) -> dict[str, Any]:
    """An entry with its controls replaced by these, marked as ready for the model."""
    return _with(entry, ControlCond(tuple(controls), is_ready=True) if controls else None)


def _with(extras: Mapping[str, Any], cond: ControlCond | None) -> dict[str, Any]:
    rest, _ = take_controls(extras)
    return rest if cond is None else {**rest, MODEL_CONDS: {**rest.get(MODEL_CONDS, {}), KEY: cond}}


def take_controls(extras: Mapping[str, Any]) -> tuple[dict[str, Any], ControlCond | None]:
    """The extras without controls, and the ControlCond, None if there is none."""
    conds = dict(extras.get(MODEL_CONDS, {}))
    cond = conds.pop(KEY, None)
    rest = {key: value for key, value in extras.items() if key != MODEL_CONDS}
    return {**rest, MODEL_CONDS: conds} if conds else rest, cond


def controls_of(extras: Mapping[str, Any]) -> Controls:
    """The controls of an entry's extras, before or during sampling."""
    cond = extras.get(MODEL_CONDS, {}).get(KEY)
    return cond.controls if cond else ()


def has_controls(conditioning: Sequence) -> bool:
    """Whether any entry of a CONDITIONING has controls."""
    return any(controls_of(entry) for _, entry in conditioning)
