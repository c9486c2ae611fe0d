"""Encodes prompts and samples pictures for all parts of `bench meaning`."""

import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import comfy.sample
import numpy as np
import torch
from PIL import Image

from ...nano import layouts
from ...nano.pipeline import SIDE, STEPS, Pipeline
from ...nodes.encode.encoding import encode_clip, encode_t5
from ...nodes.sample.apply import attach
from ...nodes.streams import ClipVec, Span, T5Text

BATCH = 16
Prompted = Callable[[Sequence], list]  # cases -> their CONDITIONING


class Studio:
    """The models, and the same noise for every row of pictures."""

    def __init__(self, pictures: int, seed: int, sheets: Path | None = None):
        self.pipeline, self.pictures, self.seed, self.sheets = Pipeline(), pictures, seed, sheets
        self.flux = attach(self.pipeline.flux)
        # Rows share their texts: the sweeps use the same scenes again.
        self.one_vec = cache(lambda text: encode_clip(self.pipeline.clip_l, text))
        self.one_txt = cache(lambda text: encode_t5(self.pipeline.t5, text)[0])

    def rng(self, name: str) -> random.Random:
        return random.Random(f"{self.seed}/{name}")

    def vec(self, texts: Sequence[str]) -> ClipVec:
        """A ClipVec with one row per prompt."""
        return ClipVec((Span(torch.cat([self.one_vec(text).spans[0].tensor for text in texts])),))

    def txt(self, texts: Sequence[str]) -> T5Text:
        return T5Text((Span(torch.cat([self.one_txt(text).spans[0].tensor for text in texts])),))

    def drawn(
        self,
        name: str,
        cases: Sequence,
        prompt: Prompted,
        away: Prompted | None = None,
        cfg: float = 1.0,
        batch: int = BATCH,
    ) -> np.ndarray:
        """Pictures, uint8 [N, 128, 128, 3]; case n always has the same noise. `away` makes true CFG's negative."""
        drawn = []
        for start in range(0, len(cases), batch):
            part = cases[start : start + batch]
            latent = torch.zeros(len(part), layouts.LATENT_CHANNELS, SIDE, SIDE)
            noise = torch.cat([comfy.sample.prepare_noise(latent[:1], self.seed + start + n) for n in range(len(part))])
            positive = prompt(part)
            latent = comfy.sample.sample(
                self.flux,
                noise,
                STEPS,
                cfg,
                "euler",
                "simple",
                positive,
                away(part) if away else positive,
                latent,
                seed=self.seed,
                disable_pbar=True,
            )
            drawn.append((self.pipeline.vae.decode(latent) * 255).round().clamp(0, 255).to(torch.uint8))
        pictures = torch.cat(drawn).numpy()
        if self.sheets:
            Image.fromarray(np.concatenate(pictures[:10], 1)).save(self.sheets / f"{name}.png")
        return pictures
