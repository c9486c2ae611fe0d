"""Prompts, masks and runs for regions, routes and negatives."""

import torch

from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import txt, vec

SIDE = 12
LATENT = {"samples": torch.zeros(1, 16, SIDE, SIDE)}
CLIP_A, CLIP_B = vec(1), vec(2)
A, B, C = txt(3), txt(4, 13), txt(5, 7)


def prompt(text=A, clip=CLIP_A) -> list:
    return DualPrompt.execute(clip, text, 3.5)[0]


def sampled(model, *prompts, **options) -> torch.Tensor:
    return sampling.sampled(model, *prompts, **{"latent": LATENT, "steps": 2, **options})["samples"]


def natively(model, *prompts, **options) -> torch.Tensor:
    return sampling.natively(model, *prompts, **{"latent": LATENT, "steps": 2, **options})["samples"]


def half(side: str, size: int = 48) -> torch.Tensor:
    mask = torch.zeros(1, size, size)
    mask[..., : size // 2] = 1
    return mask if side == "left" else 1 - mask
