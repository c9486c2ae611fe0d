"""The reference of a control by brute force: one native run with an explicit weight for every pair of tokens.

The graph holds the base prompt alone, so every native node, ControlNet too, does to it what it does without controls.
At FLUX.1's forward, this prompt's rows of a batch are replaced, by a `Truth` for each step:
other rows, whole L x L masks, a vec for each block. Nothing of the pack's own arithmetic is used.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor
from torch.nn.functional import interpolate, pad

from flux_duet.tests.comfy.matrix.graph import SHAPE, Graph

DEPTH = SHAPE.double, SHAPE.single
BLOCKS = range(sum(DEPTH))


@dataclass(frozen=True)
class Over:
    """Rows [1, L, C] that the picture sees in `blocks`, where `mask` [H, W] over the whole picture is.

    With `nag` (scale, tau, alpha) it is not seen: the picture is steered away from it.
    """

    rows: Tensor
    mask: Tensor | None = None
    strength: float = 1.0
    ratio: float = 0.0
    blocks: Any = BLOCKS
    nag: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Truth:
    """A prompt at one step. `txt` and `vec` replace the base's own; `bias` [L] is added to the logits of its columns.

    `vecs` are (weight, vector) that move vec after the MLP in `blocks`, `own` is the weight of the prompt's own.
    """

    txt: Tensor | None = None
    vec: Tensor | None = None
    bias: Tensor | None = None
    overs: tuple[Over, ...] = ()
    vecs: tuple[tuple[float, Tensor], ...] = ()
    own: float = 0.0
    blocks: Any = ()

    def scaled(self, scale: float) -> Truth:
        """The same with all texts multiplied by `scale`."""
        times = lambda tensor: None if tensor is None else tensor * scale  # noqa: E731
        return replace(
            self,
            txt=times(self.txt),
            vec=times(self.vec),
            overs=tuple(replace(over, rows=over.rows * scale) for over in self.overs),
            vecs=tuple((weight, vec * scale) for weight, vec in self.vecs),
        )


Seen = Callable[[int, Tensor], None]  # (step, shares [B, image tokens, own rows] of all logits' softmax, mean of heads)


def overridden(graph: Graph, length: int, truth: Callable[[int], Truth | None], seen: Seen | None = None):
    """The graph's model with its positive's first prompt, of `length` rows, replaced by `truth(step)`.

    Rows after `length` are those that native nodes appended; None keeps the base prompt. `seen` collects the image's
    attention shares of that prompt's rows in each block.
    """
    (rows, entry), *_ = graph.positive
    whole = tuple(graph.latent["samples"].shape[2:])
    model = graph.model.clone()

    def forward(executor, x, timestep, context, y=None, guidance=None, ref_latents=None, control=None,
                transformer_options=None, **kwargs):  # fmt: skip
        options = transformer_options
        now = truth(_step(options))
        same = torch.tensor([_is(each, rows) for each in context])
        given = dict(x=x, timestep=timestep, context=context, y=y, guidance=guidance, ref_latents=ref_latents,
                     control=control, **kwargs)  # fmt: skip
        if now is None or not same.any():
            return executor(transformer_options=options, **given)
        out = torch.zeros_like(x[:, :16])
        for part, is_it in ((~same, False), (same, True)):
            if part.any():
                picked = {name: _rows(value, part) for name, value in given.items()}
                if is_it:
                    area = entry.get("area")
                    record = None if seen is None else partial(seen, _step(options))
                    forward = _Forward(executor.class_obj, now, picked, length, _crop(area, whole), record)
                    out[part] = executor(transformer_options=forward.options(options), **picked)
                else:
                    out[part] = executor(transformer_options=options, **picked)
        return out

    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "by hand", forward)
    return model


def _step(options: dict) -> int:
    return int((options["sample_sigmas"].cpu() - options["sigmas"][0].cpu()).abs().argmin())


def _is(context: Tensor, rows: Tensor) -> bool:
    return any(context.shape == row.shape and torch.equal(context, row.to(context)) for row in rows)


def _rows(value, part: Tensor):
    """Selects rows of a batch from an argument of the forward."""
    if isinstance(value, Tensor):
        return value[part] if value.ndim and value.shape[0] == len(part) else value
    if isinstance(value, dict):
        return {name: _rows(each, part) for name, each in value.items()}
    return [_rows(each, part) for each in value] if isinstance(value, list) else value


def _crop(area, whole: tuple[int, int]) -> tuple[int, int, int, int]:
    """(height and width of the picture's tokens, row and column where a prompt's area begins among them)."""
    top = left = 0  # the area of a mask's bounds begins there too
    if area is not None and area[0] == "percentage":
        top, left = (round(share * side) for share, side in zip(area[3:5], whole, strict=True))
    elif area is not None:
        top, left = area[2:4]
    return *(-(-side // 2) for side in whole), top // 2, left // 2


class _Forward:
    """One forward of the prompt's rows alone."""

    def __init__(self, flux, truth: Truth, given: dict, length: int, crop: tuple[int, int, int, int], seen=None):
        self.flux, self.truth, self.crop, self.seen = flux, truth, crop, seen
        self.height, self.width = (-(-side // 2) for side in given["x"].shape[2:])
        base = given["context"]
        own, more = base[:, :length], base[:, length:]
        if truth.txt is not None:
            own = truth.txt.to(base).expand(len(base), -1, -1)
        self.own, self.first = own.shape[1], own.shape[1] + more.shape[1]
        overs = [over.rows.to(base).expand(len(base), -1, -1) for over in truth.overs]
        given["context"] = torch.cat([own, more, *overs], 1)
        if truth.vec is not None:
            given["y"] = truth.vec.to(given["y"]).expand_as(given["y"])
        self.y = given["y"]
        # In ComfyUI's attention_mask all text rows equal the first, except appended ones.
        old = given.pop("attention_mask", None)
        places = [*[0] * self.own, *range(length, base.shape[1]), *[0] * sum(each.shape[1] for each in overs)]
        self.native = None if old is None else self._moved(old.float(), places, base.shape[1])

    def _moved(self, mask: Tensor, places: list[int], txt: int) -> Tensor:
        index = torch.tensor([*places, *range(txt, mask.shape[-1])])
        return mask[:, index][:, :, index]

    def options(self, options: dict) -> dict:
        options = {**options, "optimized_attention_override": self.attend}
        if self.truth.blocks:
            before = options.get("patches_replace", {}).get("dit", {})
            moved = dict(self._moved_vec(block, before) for block in self.truth.blocks)
            options["patches_replace"] = {"dit": {**before, **moved}}
        return options

    def _moved_vec(self, block: int, before: dict):
        vector_in = self.flux.vector_in
        delta = sum(weight * vector_in(vec.to(self.y)) for weight, vec in self.truth.vecs)
        delta = delta + self.truth.own * vector_in(self.y)
        kind = ("double_block", block) if block < DEPTH[0] else ("single_block", block - DEPTH[0])

        def patch(args, extra):
            args = {**args, "vec": args["vec"] + delta[:1]}
            return before[kind](args, extra) if kind in before else extra["original_block"](args)

        return kind, patch

    def attend(self, attention, q, k, v, *args, mask=None, **kwargs):
        options = kwargs["transformer_options"]
        block = options["block_index"] + DEPTH[0] * (options["block_type"] == "single")
        seen = self._mask(block, k.shape[2])
        if self.native is not None:
            seen = seen + pad(self.native, (0, k.shape[2] - self.native.shape[2]) * 2)
        seen = seen[:, None, : q.shape[2]].to(q.dtype)
        if self.seen is not None:
            txt = self.first + sum(over.rows.shape[1] for over in self.truth.overs)
            shares = (q @ k.mT * q.shape[-1] ** -0.5 + seen).softmax(-1).mean(1)
            self.seen(shares[:, txt : txt + self.height * self.width, : self.own])
        out = attention(q, k, v, *args, mask=seen, **kwargs)
        start = self.first
        for over in self.truth.overs:
            end = start + over.rows.shape[1]
            if over.nag is not None and block in over.blocks:
                txt = self.first + sum(each.rows.shape[1] for each in self.truth.overs)
                columns = [*range(start, end), *range(txt, k.shape[2])]
                away = attention(q[:, :, txt:], k[:, :, columns], v[:, :, columns], *args, **kwargs)
                out = torch.cat([out[:, :txt], _steered(out[:, txt:], away, *over.nag)], 1)
            start = end
        return out

    def _mask(self, block: int, total: int) -> Tensor:
        """[1, total, total]: the bias of each logit. Text first, then the picture, then references."""
        txt = self.first + sum(over.rows.shape[1] for over in self.truth.overs)
        image = slice(txt, txt + self.height * self.width)
        weights = torch.ones(total, total)
        weights[txt:, self.first : txt] = 0.0  # only a placed text itself sees its rows, unless set below
        start = self.first
        for over in self.truth.overs:
            here = slice(start, start + over.rows.shape[1])
            weights[:txt, here] = weights[here, :txt] = 0.0
            weights[here, here] = 1.0
            share = self._share(over.mask)
            if over.mask is not None:
                weights[here, image] = share
            if block in over.blocks and over.nag is None:
                weights[image, :start] *= (1 - share * (1 - over.ratio))[:, None]
                weights[image, here] = (share * over.strength)[:, None]
            start = here.stop
        if self.truth.bias is not None:
            weights[:, : len(self.truth.bias)] *= self.truth.bias.exp()
        return weights.log()[None]

    def _share(self, mask: Tensor | None) -> Tensor:
        if mask is None:
            return torch.ones(self.height * self.width)
        height, width, top, left = self.crop
        whole = interpolate(mask[None, None], (height, width), mode="area")[0, 0]
        return whole[top : top + self.height, left : left + self.width].flatten()


def _steered(z: Tensor, away: Tensor, scale: float, tau: float, alpha: float) -> Tensor:
    """Normalised attention guidance, arXiv 2505.21179."""
    guided = scale * z - (scale - 1) * away
    longer = guided.abs().sum(-1, keepdim=True) / z.abs().sum(-1, keepdim=True)
    return alpha * guided * (tau / longer).clamp_max(1.0) + (1 - alpha) * z


def withheld(graph: Graph, steps: Container[int]):
    """The graph's model, in which the second prompt of positive and negative acts at these steps alone."""
    length = graph.positive[1][0].shape[1]

    def around(executor, model, conds, x, timestep, options):
        now = _step({**options["transformer_options"], "sigmas": timestep})
        if now not in steps:
            conds = [cond and [each for each in cond if _length(each) != length] for cond in conds]
        return executor(model, conds, x, timestep, options)

    model = graph.model.clone()
    model.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "by hand", around)
    return model


def _length(entry: dict) -> int:
    return entry["model_conds"]["c_crossattn"].cond.shape[1]
