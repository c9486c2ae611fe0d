"""What a CONDITIONING carries beside its prompts and its guidance: pictures, masks, ControlNets, hooks. Pure torch.

Two prompts may each have come through their own ReferenceLatent or Apply ControlNet with the same picture: what they
carry is then equal, though no object is the other's. So extras are compared by what they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from .. import keys
from ..streams import Stream
from .controls import take_controls

Merge = Callable[[Any, Any], Any]
AnyStream = TypeVar("AnyStream", bound=Stream)

# What weights the attention between the very rows of a T5 prompt (Redux with attn_bias): it goes where they go.
OF_TXT = (keys.MASK, keys.MASK_SIZE)
_OF_PROMPT = (keys.POOLED, keys.GUIDANCE, *OF_TXT)
_TIMES = ((keys.START_PERCENT, keys.END_PERCENT), (keys.CLIP_START, keys.CLIP_END))
_PLAIN = (int, float, str, bytes, bool, type(None), torch.dtype, torch.device)
_DEPTH = 16  # how deep objects are looked into
TITLES = {
    keys.CONTROL: "ControlNets (Apply ControlNet)",
    keys.REFERENCES: "reference pictures (ReferenceLatent)",
    keys.CONCAT_LATENT: "pictures to inpaint or to follow (InpaintModelConditioning, InstructPixToPixConditioning)",
    keys.CONCAT_MASK: "masks to inpaint (InpaintModelConditioning)",
    keys.MASK: "weights of a Redux picture (Apply Style Model with attn_bias)",
    keys.PLACE_MASK: "masks (Conditioning Set Mask)",
    keys.AREA: "areas (Conditioning Set Area)",
    keys.STRENGTH: "strengths (Conditioning Set Area)",
    keys.MASK_STRENGTH: "strengths (Conditioning Set Mask)",
    keys.START_PERCENT: "time ranges (Conditioning Set Timestep Range)",
    keys.END_PERCENT: "time ranges (Conditioning Set Timestep Range)",
    keys.HOOKS: "hooks",
}  # fmt: skip


def title(key: str) -> str:
    """What people call an extra; one of another pack by its key."""
    return TITLES.get(key, f"'{key}'")


def same(a: Any, b: Any, depth: int = _DEPTH) -> bool:
    """Whether two extras hold the same. Where that cannot be told, they do not; nothing is raised.

    ComfyUI copies a ControlNet each time that it is applied: such objects are one class and equal in all that they
    hold. Models and functions are the same only if they are one object.
    """
    if a is b:
        return True
    if isinstance(a, _PLAIN) and isinstance(b, _PLAIN):
        return a == b
    if type(a) is not type(b) or depth == 0:
        return False
    if isinstance(a, Tensor):
        alike = (a.shape, a.dtype, a.device, a.layout) == (b.shape, b.dtype, b.device, b.layout)
        return alike and a.layout == torch.strided and not a.is_meta and torch.equal(a, b)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(value, b[key], depth - 1) for key, value in a.items())
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(one, other, depth - 1) for one, other in zip(a, b, strict=True))
    if isinstance(a, torch.nn.Module | type) or callable(a):
        return False
    held = getattr(a, "__dict__", None)
    return bool(held) and same(held, getattr(b, "__dict__", None), depth - 1)


def merged(
    a: Mapping[str, Any], b: Mapping[str, Any], merges: Mapping[str, Merge], names: Sequence[str] = ("vec", "txt"),
    node: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Both extras. `merges` says how to unite a key's two values; without a rule two that differ raise ValueError.

    `names` are the inputs of the `node` that they came by.
    """
    out = {**a, **b}
    for key in a.keys() & b.keys():
        if same(a[key], b[key]):
            continue
        if key not in merges:
            one, other = names
            raise ValueError(
                f"{node}{': ' if node else ''}`{one}` and `{other}` carry different {title(key)}, expected the same on "
                "both, or on one alone. Give both the same, or set it on the CONDITIONING that comes out here."
            )
        out[key] = merges[key](a[key], b[key])
    return out


def extras_of(like: list | None, node: str) -> dict[str, Any]:
    """The extras of a CONDITIONING whose prompt is not used: all but its prompt, guidance and controls.

    Raises ValueError where it holds several prompts, each with extras of its own, or is for a part of the run.
    """
    if like is None:
        return {}
    if len(like) != 1:
        raise ValueError(
            f"{node}: `like` holds {len(like)} prompts, each with masks, pictures and times of its own, expected one. "
            "Connect the CONDITIONING of one prompt, before Conditioning Combine."
        )
    rest, _ = take_controls(like[0][1])
    if any(rest.get(start, 0.0) > 0 or rest.get(end, 1.0) < 1 for start, end in _TIMES):
        raise ValueError(
            f"{node}: `like` is limited to a part of the run, so that no prompt would be left for the rest. Connect it "
            "before Conditioning Set Timestep Range, and from a CLIP whose hooks last throughout."
        )
    return {key: value for key, value in rest.items() if key not in _OF_PROMPT}


def with_extras(stream: AnyStream, extras: Mapping[str, Any], merges: Mapping[str, Merge], node: str) -> AnyStream:
    """A stream whose every encoding carries these extras too. Raises ValueError where it has others of its own."""
    spans = (replace(each, extras=merged(each.extras, extras, merges, ("t5", "like"), node)) for each in stream.spans)
    return replace(stream, spans=tuple(spans))
