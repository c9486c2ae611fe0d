"""Trains the nano FLUX: velocities from two captions, CLIP's and T5's. Needs ComfyUI."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import comfy.model_management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from torch import Tensor, nn

from . import layouts, scenes
from .autoencoder import covered
from .encoders import TextEncoders
from .optimizers import precision
from .text import CAPTIONS, LONG, Tokens, choose

# Kinds of (CLIP, T5) captions and their shares, for scenes with objects. A background that no caption describes is
# left to the objects' habits.
STREAMS = {
    ("whole", "whole"): 0.42,  # identical captions
    ("background", "objects"): 0.28,
    ("objects", "objects"): 0.08,  # identical captions
    ("nothing", "whole"): 0.06,
    ("nothing", "objects"): 0.05,
    ("whole", "nothing"): 0.04,
    ("whole", "objects"): 0.04,
    ("objects", "whole"): 0.02,
    ("objects", "nothing"): 0.01,
}

# For scenes without objects: so empty prompts give a bare background, and guidance leads away from that.
BARE_STREAMS = {
    ("background", "nothing"): 0.35,
    ("background", "background"): 0.2,
    ("nothing", "background"): 0.15,
    ("nothing", "nothing"): 0.3,
}

# logit(sigma) ~ N(mean, std): mostly near pure noise, where only the captions determine the picture.
SIGMA_MEAN, SIGMA_STD = 1.3, 1.5

# guidance_in's values: 1 is the plain flow, and each additional 1 adds GUIDANCE_GAIN of the captions' effect on it.
GUIDANCE_MAX, GUIDANCE_GAIN = 5.0, 0.4


# ---- the model


def flux(shape: layouts.Shape, seed: int) -> nn.Module:
    """A trainable Flux whose blocks start as the identity (adaLN-Zero, arXiv:2212.09748)."""
    model = layouts.modules(shape, seed)["flux"]
    layouts.make_trainable(model)
    for name, value in model.named_parameters():
        if any(part in name for part in ("_mod.lin", "modulation.lin", "adaLN_modulation", "final_layer.linear")):
            nn.init.zeros_(value)
    return model


@contextmanager
def differentiable() -> Iterator[None]:
    """Sets ComfyUI's switch for RoPE in plain torch instead of a forward-only kernel."""
    before = comfy.model_management.in_training
    comfy.model_management.in_training = True
    try:
        yield
    finally:
        comfy.model_management.in_training = before


@dataclass
class Prompts:
    """Encoded prompts: vec [B, clip_width] and txt [B, L, t5_width]."""

    vec: Tensor
    txt: Tensor

    def rows(self, start: int) -> "Prompts":
        """The prompts from `start` on."""
        return Prompts(self.vec[start:], self.txt[start:])


@torch.no_grad()
def encode(
    encoders: TextEncoders,
    tokens: Tokens,
    clip: list[str],
    t5: list[str],
    length: int,
    rng: random.Random | None = None,
) -> Prompts:
    """Encodes captions for FLUX; with `rng`, unknown words are inserted at random."""
    return Prompts(encoders.vec(*tokens.clip(clip, rng)), encoders.txt(tokens.t5(t5, length, rng)))


def velocity(model: nn.Module, x: Tensor, sigma: Tensor, prompts: Prompts, guidance: Tensor) -> Tensor:
    """Flux's forward pass."""
    options = {"optimized_attention_override": lambda chosen, *args, **kwargs: attention_pytorch(*args, **kwargs)}
    with precision():
        return model(x, sigma, prompts.txt, prompts.vec, guidance, transformer_options=options).float()


# ---- the loss


def captions(batch: list[scenes.Scene], rng: random.Random) -> tuple[list[str], list[str]]:
    """(CLIP captions, T5 captions) of the scenes."""
    clip, t5, long = [], [], choose(rng, LONG)
    for scene in batch:
        streams = choose(rng, STREAMS if scene.objects else BARE_STREAMS)
        texts = {kind: CAPTIONS[kind](scene, rng, long=long) for kind in dict.fromkeys(streams)}
        clip.append(texts[streams[0]])
        t5.append(texts[streams[1]])
    return clip, t5


@torch.no_grad()
def guided(
    teacher: nn.Module, x: Tensor, sigma: Tensor, prompts: Prompts, nothing: Prompts, guidance: Tensor
) -> Tensor:
    """The part that guidance adds to the velocity: GUIDANCE_GAIN (guidance - 1) (v(prompt) - v(nothing)).

    Added to the target, it trains model guidance (arXiv:2502.12154): classifier-free guidance in one pass, as in
    FLUX.1-dev, with the model's own moving average as the teacher.
    """
    plain = torch.ones_like(guidance)
    conditioned = velocity(teacher, x, sigma, prompts, plain)
    unconditioned = velocity(teacher, x, sigma, nothing, plain)
    return GUIDANCE_GAIN * (guidance - 1)[:, None, None, None] * (conditioned - unconditioned)


def flow_loss(
    model: nn.Module,
    teacher: nn.Module | None,
    latents: Tensor,
    batch: list[scenes.Scene],
    prompts: Prompts,
    nothing: Prompts | None,
    emphasis: float = 0.0,
) -> Tensor:
    """Rectified flow as in FLUX: x = (1 - sigma) x0 + sigma noise, and the model predicts noise - x0.

    With a teacher, and `nothing` as the empty prompt, guidance_in learns guidance; without one, its values have no
    effect on the target. `emphasis` is the additional weight of an object's latents. Objects cover a twentieth of a
    picture, so their words are learned late; but weights that depend on x0 bias the flow, so reduce them to 0.
    """
    sigma = torch.sigmoid(SIGMA_MEAN + SIGMA_STD * torch.randn(len(batch)))
    guidance = 1 + (GUIDANCE_MAX - 1) * torch.rand(len(batch))
    noise, at = torch.randn_like(latents), sigma[:, None, None, None]
    x, target = latents.lerp(noise, at), noise - latents
    if teacher is not None:
        plain = len(batch) // 2  # half of the batch trains the plain flow, which the teacher needs
        guidance[:plain] = 1
        rest = prompts.rows(plain), nothing.rows(plain), guidance[plain:]
        target[plain:] += guided(teacher, x[plain:], sigma[plain:], *rest)
    error = (velocity(model, x, sigma, prompts, guidance) - target).square().mean(1)  # [B, 16, 16]
    return (error * (1 + emphasis * covered(batch, error.shape[-1]))).mean()
