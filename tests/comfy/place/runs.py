"""Prompts, masks and runs for regions, routes and negatives."""

import torch

import nodes
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.tests.comfy.inputs import txt, vec

SIDE = 12
LATENT = {"samples": torch.zeros(1, 16, SIDE, SIDE)}
CLIP_A, CLIP_B = vec(1), vec(2)
A, B, C = txt(3), txt(4, 13), txt(5, 7)


def prompt(text=A, clip=CLIP_A) -> list:
    return DualPrompt.execute(clip, text, 3.5)[0]


def sampled(model, positive, negative=None, latent=LATENT, cfg=1.0, steps=2) -> torch.Tensor:
    return MMDiTSampler.execute(
        model,
        positive,
        latent,
        negative,
        cfg=cfg,
        seed=5,
        steps=steps,
        sampler="euler",
        scheduler="simple",
        denoise=1.0,
    )[0]["samples"]


def natively(model, positive, negative=None, latent=LATENT, cfg=1.0, steps=2) -> torch.Tensor:
    return nodes.KSampler().sample(
        model, 5, steps, cfg, "euler", "simple", positive, negative or positive, latent, 1.0
    )[0]["samples"]


def half(side: str, size: int = 48) -> torch.Tensor:
    mask = torch.zeros(1, size, size)
    mask[..., : size // 2] = 1
    return mask if side == "left" else 1 - mask
