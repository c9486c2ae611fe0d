"""Samples pictures from the nano models in batches, for benchmarks and pictures. Needs ComfyUI.

The models are loaded as in a user's graph: FLUX and the autoencoder by ComfyUI's loaders, the encoders by ours.
"""

from dataclasses import dataclass
from pathlib import Path

import comfy.sample
import comfy.sd
import comfy.utils
import numpy as np
import torch
from torch import Tensor

from ..nodes.encode import encoding
from ..nodes.encode.load import loading
from . import layouts

MODELS = Path(__file__).resolve().parent.parent / "workflows" / "models"
STEPS, GUIDANCE = 12, 3.5
SIDE = 16  # latent pixels, 128 pixels of the picture


@dataclass(frozen=True)
class Prompt:
    """The CLIP prompt and the T5 prompt."""

    clip: str
    t5: str


class Pipeline:
    """The loaded models."""

    def __init__(self, models: Path = MODELS):
        paths = {name: str(models / file) for name, file in layouts.FILES.items()}
        self.flux = comfy.sd.load_diffusion_model(paths["flux"])
        self.vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(paths["ae"]))
        self.clip_l, self.t5 = loading.load_clip_l(paths["clip_l"]), loading.load_t5(paths["t5xxl"])

    def conditioning(self, prompts: list[Prompt], guidance: float = GUIDANCE) -> list:
        """One CONDITIONING with a row per prompt."""
        vecs, txts = [], []
        for prompt in prompts:
            vecs += [span.tensor for span in encoding.encode_clip(self.clip_l, prompt.clip).spans]
            txts += [span.tensor for span in encoding.encode_t5(self.t5, prompt.t5)[0].spans]
        return [[torch.cat(txts), {"pooled_output": torch.cat(vecs), "guidance": guidance}]]

    @torch.no_grad()  # as ComfyUI runs its nodes: without it, every layer's output stays in memory
    def sample(self, prompts: list[Prompt], seed: int, steps: int = STEPS, guidance: float = GUIDANCE) -> Tensor:
        """Latents [B, 16, 16, 16], equal to KSampler's with sampler euler and scheduler simple."""
        positive = self.conditioning(prompts, guidance)
        latent = torch.zeros(len(prompts), layouts.LATENT_CHANNELS, SIDE, SIDE)
        noise = comfy.sample.prepare_noise(latent, seed)
        return comfy.sample.sample(
            self.flux, noise, steps, 1.0, "euler", "simple", positive, positive, latent, seed=seed, disable_pbar=True
        )

    @torch.no_grad()
    def draw(self, prompts: list[Prompt], seed: int, batch: int = 16, **options) -> np.ndarray:
        """Pictures, uint8 [N, 128, 128, 3]; prompt number n always has the same noise for the same seed."""
        drawn = []
        for start in range(0, len(prompts), batch):
            latent = self.sample(prompts[start : start + batch], seed + start, **options)
            drawn.append((self.vae.decode(latent) * 255).round().clamp(0, 255).to(torch.uint8))
        return torch.cat(drawn).numpy()
