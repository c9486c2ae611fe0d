"""The effects of two prompts on the velocity, from its four values on one x_t. Pure torch.

v11 has both prompts, v10 only T5's, v01 only CLIP's, v00 neither. A prompt's unique effect is what it changes in
addition to the other prompt, its solo effect what it changes alone. The whole effect E = v11 - v00 is split by Shapley
values (Shapley 1953): a prompt's part is the mean of its unique and its solo effect, so the parts add up to E, and the
shares <part, E> / |E|^2 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..repainted import mean_square

STREAMS = ("clip", "t5")
# In the order of Effects.norms. D_clip and D_t5 are the unique effects.
VELOCITY, WHOLE = "velocity", "whole"
NORMS = (VELOCITY, "D_clip", "D_t5", "solo_clip", "solo_t5", "interaction", WHOLE)


@dataclass(frozen=True, eq=False)
class Effects:
    """The effects at one step.

    `norms` [7, B] are absolute lengths, |v11| first. `parts` [2, B] are <part, E>. `maps` [2, B, H, W] is each part's
    length at each latent pixel, relative to the velocity's root mean square. `blocks` [2, B] are the unique effects in
    the chosen blocks alone, None if not measured.
    """

    norms: Tensor
    parts: Tensor
    maps: Tensor
    blocks: Tensor | None = None

    def on_cpu(self) -> Effects:
        moved = {name: value.to("cpu") for name, value in vars(self).items() if value is not None}
        return replace(self, **moved)


def effects(
    v11: Tensor, v10: Tensor, v01: Tensor, v00: Tensor, within: Sequence[Tensor] = (), mask: Tensor | None = None
) -> Effects:  # fmt: skip
    """The effects from velocities [B, C, H, W].

    `within` are two more velocities: without CLIP's prompt, and without T5's, in the chosen blocks alone. With a mask,
    the velocities are multiplied by it already (repainted.counted); `mask` is used for the mean over places.
    """
    unique = v11 - v10, v11 - v01
    solo = v01 - v00, v10 - v00
    whole = v11 - v00
    parts = [(one + other) / 2 for one, other in zip(unique, solo, strict=True)]
    norms = torch.stack([length(each) for each in (v11, *unique, *solo, unique[0] - solo[0], whole)])
    dots = torch.stack([(part * whole).flatten(1).sum(1) for part in parts])
    mean = mean_square(_cells(v11), mask).sqrt()[:, None, None]
    maps = torch.stack([divided(_cells(part), mean) for part in parts])
    blocks = torch.stack([length(v11 - each) for each in within]) if len(within) else None
    return Effects(norms, dots, maps, blocks)


def length(v: Tensor) -> Tensor:
    """The length of each picture's velocity [B, C, H, W] -> [B]."""
    return v.flatten(1).norm(dim=1)


def _cells(v: Tensor) -> Tensor:
    return v.norm(dim=1)


def divided(some: Tensor, other: Tensor) -> Tensor:
    """some / other; 0 where `other` is 0."""
    return torch.where(other > 0, some / other.clamp_min(torch.finfo(other.dtype).tiny), 0.0)


Numbers = dict[str, "float | None"]


def pooled(several: Sequence[Effects]) -> Numbers:
    """Numbers over several steps and all their pictures: root mean squares, relative to the velocity's.

    Shares are sums of <part, E> over sums of |E|^2, so a step is weighted by how much the prompts change in it; None if
    they change nothing.
    """
    squares = sum(each.norms.double().square().sum(1) for each in several)
    relative = divided(squares, squares[:1]).sqrt()
    numbers: Numbers = {name: float(value) for name, value in zip(NORMS, relative, strict=True) if name != VELOCITY}
    parts = sum(each.parts.double().sum(1) for each in several)  # their sum is |E|^2
    for stream, part in zip(STREAMS, parts, strict=True):
        numbers[f"share_{stream}"] = float(part / parts.sum()) if squares[-1] > 0 else None
    if several[0].blocks is not None:
        inside = sum(each.blocks.double().square().sum(1) for each in several)
        for stream, value in zip(STREAMS, divided(inside, squares[:1]).sqrt(), strict=True):
            numbers[f"blocks_{stream}"] = float(value)
    return numbers


def of_picture(one: Effects, picture: int) -> Effects:
    """The effects of one picture of a batch."""
    at = slice(picture, picture + 1)
    blocks = None if one.blocks is None else one.blocks[:, at]
    return Effects(one.norms[:, at], one.parts[:, at], one.maps[:, at], blocks)


def maps(several: Sequence[Effects]) -> Tensor:
    """[2, B, H, W]: the maps of CLIP's part and of T5's, the mean over steps."""
    return torch.stack([each.maps for each in several]).float().mean(0)
