"""What the nano FLUX learns: velocities from two captions, one for each road. Needs ComfyUI."""

import random
from contextlib import contextmanager

import comfy.model_management
import numpy as np
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy.text_encoders.flux import FluxTokenizer
from comfy.text_encoders.t5 import T5LayerNorm
from torch import Tensor, nn

from . import layouts, scenes

# What (CLIP, T5) are told, and how often. A road that is not told leaves that part of the picture to chance.
ROADS = {
    ("whole", "whole"): 0.25,
    ("background", "objects"): 0.50,
    ("nothing", "whole"): 0.08,
    ("whole", "objects"): 0.07,
    ("whole", "nothing"): 0.05,
    ("nothing", "nothing"): 0.05,
}
CAPTIONS = {
    "whole": scenes.whole_caption,
    "background": scenes.background_caption,
    "objects": scenes.object_caption,
    "nothing": lambda scene, rng: "",
}
# Pads are attended to, so their number is part of what is learned: none beyond the longest caption, some, ComfyUI's.
T5_LENGTHS = {0: 0.93, 96: 0.05, 256: 0.02}

# logit(sigma) ~ N(mean, std): near the noise, where nothing but the words says what to draw, they are learned.
SIGMA_MEAN, SIGMA_STD = 1.5, 1.5


def choose(rng: random.Random, shares: dict):
    return rng.choices(list(shares), list(shares.values()))[0]


# ---- the model

class Nano(nn.Module):
    """The three parts that learn together: token ids of both roads in, velocity out."""

    def __init__(self, shape: layouts.Shape, seed: int):
        super().__init__()
        parts = layouts.modules(shape, seed)
        self.flux, self.clip_l, self.t5xxl = (parts[name] for name in ("flux", "clip_l", "t5xxl"))

    def vec(self, ids: Tensor, lengths: list[int]) -> Tensor:
        """CLIP's state at the first end token, after the final norm, not projected: [B, 77] -> [B, clip_width]."""
        return self.clip_l.text_model(ids, num_tokens=lengths)[2]

    def txt(self, ids: Tensor) -> Tensor:
        """T5's rows, pads included and nothing masked: [B, L] -> [B, L, t5_width]."""
        return self.t5xxl(ids, None)[0]

    def forward(self, x: Tensor, sigma: Tensor, clip: tuple[Tensor, list[int]], t5: Tensor, guidance: Tensor) -> Tensor:
        options = {"optimized_attention_override": lambda chosen, *args, **kwargs: attention_pytorch(*args, **kwargs)}
        return self.flux(x, sigma, self.txt(t5), self.vec(*clip), guidance, transformer_options=options)


def make_trainable(model: Nano) -> None:
    """Blocks start as the identity (adaLN-Zero, arXiv:2212.09748), and norms keep copies of their inputs.

    ComfyUI's blocks add their residuals in place; a norm's backward pass needs its input as it was.
    """
    for layer in model.modules():
        if isinstance(layer, (nn.LayerNorm, T5LayerNorm)):
            layer.register_forward_pre_hook(lambda _, args: (args[0].clone(), *args[1:]))
    for name, value in model.flux.named_parameters():
        if any(part in name for part in ("_mod.lin", "modulation.lin", "adaLN_modulation", "final_layer.linear")):
            nn.init.zeros_(value)


@contextmanager
def differentiable():
    """ComfyUI's switch for RoPE in plain torch instead of a forward-only kernel."""
    before = comfy.model_management.in_training
    comfy.model_management.in_training = True
    try:
        yield
    finally:
        comfy.model_management.in_training = before


# ---- text

class Tokens:
    """ComfyUI's tokenizers on a whole batch; no weights, so each is a plain call of the tokenizer beneath."""

    CLIP_LENGTH, CLIP_PAD, T5_PAD = 77, 49407, 0

    def __init__(self):
        tokenizer = FluxTokenizer()
        self._clip, self._t5 = tokenizer.clip_l.tokenizer, tokenizer.t5xxl.tokenizer

    def clip(self, texts: list[str]) -> tuple[Tensor, list[int]]:
        """[B, 77], and the place after each first end token."""
        rows = self._clip(texts)["input_ids"]
        return self._pad(rows, self.CLIP_LENGTH, self.CLIP_PAD), [len(row) for row in rows]

    def t5(self, texts: list[str], length: int = 256) -> Tensor:
        """[B, L] with L at least `length`."""
        rows = self._t5(texts)["input_ids"]
        return self._pad(rows, max(length, *map(len, rows)), self.T5_PAD)

    @staticmethod
    def _pad(rows: list[list[int]], length: int, pad: int) -> Tensor:
        return torch.tensor([row + [pad] * (length - len(row)) for row in rows])


# ---- the loss

def _objects(batch: list[scenes.Scene], size: int) -> Tensor:
    """Where the objects are, on the latents' grid -> [B, size, size], 0 to 1."""
    return torch.from_numpy(np.stack([scenes.masks(scene, size).max(0) for scene in batch]))


def flow_loss(model: Nano, latents: Tensor, batch: list[scenes.Scene], tokens: Tokens,
              rng: random.Random, length: int, emphasis: float = 0.0) -> Tensor:
    """Rectified flow as FLUX learns it: x = (1 - sigma) x0 + sigma noise, and the model says noise - x0.

    `emphasis` is how much more an object's latents count than the background's. Objects cover a twentieth of a
    picture, so that their words are learned late; but weights that depend on x0 bias the flow, so let them fade.
    """
    roads = [choose(rng, ROADS) for _ in batch]
    clip, t5 = ([CAPTIONS[road[side]](scene, rng) for road, scene in zip(roads, batch, strict=True)] for side in (0, 1))
    sigma = torch.sigmoid(SIGMA_MEAN + SIGMA_STD * torch.randn(len(batch)))
    guidance = 1 + 5 * torch.rand(len(batch))  # says nothing, so the model learns not to listen
    noise, at = torch.randn_like(latents), sigma[:, None, None, None]
    velocity = model(latents.lerp(noise, at), sigma, tokens.clip(clip), tokens.t5(t5, length), guidance)
    error = (velocity - (noise - latents)).square().mean(1)  # [B, 16, 16]
    return (error * (1 + emphasis * _objects(batch, error.shape[-1]))).mean()
