"""Extras: what a CONDITIONING holds besides prompts and guidance: pictures, masks, ControlNets, hooks. Pure torch.

Two prompts may each have passed a ReferenceLatent or Apply ControlNet of their own with the same picture. Their extras
are then equal but not identical objects, so extras are compared by content.
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

# The attention mask belongs to the rows of one T5 prompt (Redux with attn_bias).
OF_TXT = (keys.MASK, keys.MASK_SIZE)
_OF_PROMPT = (keys.POOLED, keys.GUIDANCE, *OF_TXT)
_TIMES = ((keys.START_PERCENT, keys.END_PERCENT), (keys.CLIP_START, keys.CLIP_END))
_PLAIN = (int, float, str, bytes, bool, type(None), torch.dtype, torch.device)
_DEPTH = 16  # nesting limit for comparing objects
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
    """An extra's name for messages; its quoted key if it is another pack's."""
    return TITLES.get(key, f"'{key}'")


def same(a: Any, b: Any, depth: int = _DEPTH) -> bool:
    """Whether two extras are equal in content; False if that cannot be determined. Never raises.

    ComfyUI copies a ControlNet each time it is applied, so objects of one class are compared by their attributes.
    Modules and functions are equal only if they are the same object.
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
    """Both extras in one dict. `merges` maps a key to a function that merges two different values.

    Raises ValueError for different values of a key without such a function. `names` are the inputs that `a` and `b`
    came from, `node` is the node's name; both are for the message.
    """
    out = {**a, **b}
    for key in a.keys() & b.keys():
        if same(a[key], b[key]):
            continue
        if key not in merges:
            one, other = names
            raise ValueError(
                f"{node}{': ' if node else ''}`{one}` and `{other}` have different {title(key)}, expected the same on "
                "both, or on only one of them. Set the same on both, or set it on this node's output CONDITIONING."
            )
        out[key] = merges[key](a[key], b[key])
    return out


def extras_of(like: list | None, node: str) -> dict[str, Any]:
    """The extras of the CONDITIONING `like`, without its prompt, guidance and controls; {} for None.

    Raises ValueError, with the node's name, if it holds several prompts or is limited to a part of the run.
    """
    if like is None:
        return {}
    if len(like) != 1:
        raise ValueError(
            f"{node}: `like` holds {len(like)} prompts, each with its own masks, pictures and times, expected one. "
            "Connect the CONDITIONING of one prompt, before Conditioning Combine."
        )
    rest, _ = take_controls(like[0][1])
    if any(rest.get(start, 0.0) > 0 or rest.get(end, 1.0) < 1 for start, end in _TIMES):
        raise ValueError(
            f"{node}: `like` is limited to a part of the run, so there would be no prompt for the rest. Connect it "
            "before Conditioning Set Timestep Range, and encode it with a CLIP whose hooks are not scheduled."
        )
    return {key: value for key, value in rest.items() if key not in _OF_PROMPT}


def with_extras(stream: AnyStream, extras: Mapping[str, Any], merges: Mapping[str, Merge], node: str) -> AnyStream:
    """A stream with these extras added to every span. Raises ValueError, as `merged`, for conflicting values."""
    spans = (replace(each, extras=merged(each.extras, extras, merges, ("t5", "like"), node)) for each in stream.spans)
    return replace(stream, spans=tuple(spans))
