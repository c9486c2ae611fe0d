"""Prompts, and latents with a noise_mask."""

from functools import partial

import torch

from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.grid.nodes import PromptGrid
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.sweep.nodes import SwitchSweep
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import randn, txt, vec

STEPS, SEED, SIDE = 4, 5, 8
VEC, TXT, NO_VEC, NO_TXT = vec(1), txt(2), vec(3), txt(4)
PICTURE = randn(9, 1, 16, SIDE, SIDE)


def half(size: int = SIDE) -> torch.Tensor:
    """The right half is repainted."""
    mask = torch.zeros(1, size, size)
    mask[..., size // 2 :] = 1
    return mask


SOFT = torch.linspace(0, 1, SIDE).expand(1, SIDE, SIDE)
ONE, PAIR = PICTURE, torch.cat([PICTURE, randn(10, 1, 16, SIDE, SIDE)])
LATENTS = {
    "half": {"samples": ONE, "noise_mask": half()},
    "in pixels": {"samples": ONE, "noise_mask": half(8 * SIDE)},
    "soft": {"samples": ONE, "noise_mask": SOFT},
    "one mask for two": {"samples": PAIR, "noise_mask": half()},
    "a mask for each": {"samples": PAIR, "noise_mask": torch.cat([half(), SOFT])},
}


sampled = partial(sampling.sampled, steps=STEPS)


def swept(model, latent: dict, b=None, **options):
    return SwitchSweep.execute(
        model,
        join(VEC, TXT, 3.5),
        b or join(vec(6), txt(7), 3.5),
        "both",
        latent,
        SEED,
        STEPS,
        "euler",
        "simple",
        **options,
    ).result


def drawn(model, singles, vae, latent: dict):
    return PromptGrid.execute(
        model,
        *singles,
        vae,
        "at night\non paper",
        "a star\na heart",
        latent,
        SEED,
        3,
        2,
        "euler",
        "simple",
        3.5,
        resume=False,
    ).result


WORDS = ["red", "circle"]


def heat(model, singles, latent: dict, **options):
    """(the picture, the reading, masks [B, words, H, W], Show Heatmap's other outputs)."""
    clip, t5 = singles
    txt = T5Encode.execute(t5, "a red circle at night")[0]
    positive = join(ClipEncode.execute(clip, "on paper")[0], txt, 3.5)
    ready, probe = Heatmap.execute(model, txt, ",".join(WORDS)).result
    out = sampled(ready, positive, latent=latent)
    assert torch.equal(out["samples"], sampled(model, positive, latent=latent)["samples"])
    picture, masks, names, data, one = ShowHeatmap.execute(probe, out, **options).result
    return picture, probe.reading(out), masks.unflatten(0, (-1, len(WORDS))), names, data, one
