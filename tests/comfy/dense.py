"""The attention of a run as reference: every softmax as a whole matrix, and ComfyUI's mix of entries as measured.

A probe's maps are compared with these; nothing here uses a probe's code.
"""

from dataclasses import dataclass

import comfy.samplers
import torch
from torch import Tensor

OVERRIDE = "optimized_attention_override"


@dataclass(frozen=True, eq=False)
class Call:
    """One attention of one prompt's rows: `share` [B, queries, columns], the mean over heads."""

    uuid: object
    index: int
    block: int
    sigma: float
    share: Tensor


def watching(model, double: int = 2):
    """(a clone of the MODEL, the calls that its runs add to)."""
    calls, clone = [], model.clone()

    def attend(func, q, k, v, *args, mask=None, **kwargs):
        options = kwargs["transformer_options"]
        logits = q.float() @ k.float().mT * q.shape[-1] ** -0.5
        if mask is not None:
            logits = logits + (mask if mask.ndim == 4 else mask[:, None] if mask.ndim == 3 else mask)
        share = logits.softmax(-1).mean(1)
        block = options["block_index"] + double * (options["block_type"] == "single")
        parts = share.chunk(len(options["uuids"]))
        for uuid, index, part in zip(options["uuids"], options["cond_or_uncond"], parts, strict=True):
            calls.append(Call(uuid, index, block, float(options["sigmas"][0]), part))
        return func(q, k, v, *args, mask=mask, **kwargs)

    clone.model_options["transformer_options"][OVERRIDE] = attend
    return clone, calls


def weight_of(model, positive: list, number: int, latent: dict, sigma: float = 0.7) -> Tensor:
    """[h, w]: how much of the picture is one entry's, as ComfyUI mixes them: where a model that answers this entry with
    1 and all others with 0 gives 1."""
    clone = model.clone()
    guider = comfy.samplers.CFGGuider(clone)
    guider.set_conds(positive, positive)

    def answer(_, given):
        own = guider.conds["positive"][number]["uuid"]
        uuids = given["c"]["transformer_options"]["uuids"]
        parts = given["input"].chunk(len(uuids))
        return torch.cat([torch.full_like(part, float(uuid == own)) for part, uuid in zip(parts, uuids, strict=True)])

    clone.set_model_unet_function_wrapper(answer)
    noise = torch.randn(latent["samples"].shape)
    out = guider.sample(
        noise,
        latent["samples"],
        comfy.samplers.sampler_object("euler"),
        torch.tensor([sigma, 0.0]),
        disable_pbar=True,
        seed=0,
    )
    return model.model.process_latent_in(out)[0, 0]


def by_pixels(found: Tensor, weight: Tensor, area: tuple[int, int, int, int] | None) -> Tensor:
    """`found` [tokens] of a crop and a weight for each latent pixel [h, w] -> what each of the picture's tokens has."""
    height, width = weight.shape
    rows, columns, top, left = area or (height, width, 0, 0)
    grid = found.unflatten(0, (-(-rows // 2), -(-columns // 2)))
    total = torch.zeros(-(-height // 2), -(-width // 2))
    count = torch.zeros_like(total)
    for y in range(height):
        for x in range(width):
            count[y // 2, x // 2] += 1
            if top <= y < top + rows and left <= x < left + columns:
                total[y // 2, x // 2] += weight[y, x] * grid[(y - top) // 2, (x - left) // 2]
    return total / count
