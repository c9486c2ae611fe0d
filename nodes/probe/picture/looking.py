"""Looks for words in given pictures: noise is added, and the model is evaluated once for each noise. Imports ComfyUI.

Each noise is one step of a native sampler, watched by the recorders of Token Heatmap and Concept Heatmap. A picture is
looked at by itself, with the same noises as every other, so its maps do not depend on the rest of a batch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...compat import sampling as core
from ...compat.flux_model import transformer_of
from ...compat.memory import check_interrupted
from ...compat.patches import ModelPatcher
from ...compat.previews import progress_bar
from ...compat.text_encoders import CLIP, encoder_of
from ...condition.blocks import Depth
from ...condition.choices import DEFAULT_GUIDANCE
from ...condition.conditioning import join
from ...condition.hooks import MERGES
from ...encode.choices import FIRST, OFF
from ...encode.clip_prompt import encode_clip_prompt
from ...encode.encoding import encode_t5
from ...family import flux1, needs_picture, require_flux1, require_plane
from ...flux1_sizes import DOUBLE
from ...keys import CLIP_L, SAMPLES
from ...sample.sampling import check_widths
from ...streams import ClipVec, Span, T5Text
from ..heat.choices import BACKGROUND, CAUSAL, CONCEPT, FLOW, MASS, OUTPUT, THROUGH
from ..heat.concepts import PUBLISHED, watched_concepts
from ..heat.reading import HeatReading
from ..heat.spread.spreading import Likeness
from ..heat.watching import watched
from ..reading_store import ReadingStore, shown, size_of
from .choices import NAME, NOISES, SIGMA

SEEDS = 2**64
BY_BLOCKS = (CONCEPT, MASS, FLOW, OUTPUT, THROUGH)  # measures for which the published blocks stand


@dataclass(frozen=True)
class Question:
    """What is looked for, and how. `background` are the concepts that the words are compared with, for CONCEPT."""

    words: str
    measure: str = CONCEPT
    prompt: str = ""
    background: str = BACKGROUND
    sigma: float = SIGMA
    noises: int = NOISES
    seed: int = 0
    likeness: bool = False  # whether the maps can be refined

    @property
    def text(self) -> str:
        """What the model reads while it looks: the prompt, else the words."""
        named = (each.strip() for each in re.split(r"[,\n]", self.words))
        return self.prompt if self.prompt.strip() else ", ".join(filter(None, named))

    def recorded(self, blocks: str) -> str:
        """What the maps are the mean of, in words."""
        of = "" if self.measure == CAUSAL else f", blocks {blocks}"
        return f"mean over {self.noises} noise{'s' if self.noises > 1 else ''} at sigma {self.sigma:g}{of}"


def encoded(vae, pictures: Tensor) -> list[Tensor]:
    """The latent [1, C, h, w] of each picture of [B, H, W, 3]. Raises ValueError for no VAE."""
    if vae is None:
        raise ValueError(f"{NAME}: got no VAE. Load one with VAELoader (for FLUX.1: ae.safetensors).")
    return [vae.encode(each[None]) for each in pictures]


def looked(
    model: ModelPatcher, clip: CLIP, latents: Sequence[Tensor], question: Question
) -> tuple[HeatReading, dict[str, Any]]:
    """(the mean reading over all noises, of one step; its settings).

    Raises ValueError for a model, a CLIP or a latent that is not FLUX.1's, and for words that cannot be looked for.
    """
    _check(model, latents)
    txt, _ = encode_t5(clip, question.text, mode=OFF)
    positive = join(_vec(model, clip, question.text), txt, DEFAULT_GUIDANCE, MERGES)
    check_widths(model, positive, "prompt", NAME)
    ready, store = _watched(model, clip, txt, question)
    bar, found = progress_bar(len(latents) * question.noises), []
    for latent in latents:
        found.append(_mean([_once(ready, store, positive, latent, question, at, bar) for at in range(question.noises)]))
        _check_room(found[0], len(latents), store)
    *_, settings = store.settings.values()
    return _beside(found), {**settings, "seed": question.seed, "noises": question.noises, "prompt": question.text}


def default_blocks(model: ModelPatcher, measure: str) -> str:
    """The blocks whose maps are averaged unless others are named; in a model as deep as FLUX.1 those published."""
    if measure in BY_BLOCKS and Depth.of(transformer_of(model)).double == DOUBLE:
        return PUBLISHED
    return "double" if measure == CONCEPT else "all"


def _check(model: ModelPatcher, latents: Sequence[Tensor]) -> None:
    require_flux1(model, NAME)
    if needs_picture(model):
        raise ValueError(
            f"{NAME}: this model reads a picture in addition to its latent (Fill, Canny, Depth), which would have to "
            "be made of yours. Use FLUX.1 dev, schnell, Krea or Kontext."
        )
    require_plane(latents[0], NAME)
    channels = flux1(model).out_channels
    if latents[0].shape[1] != channels:
        raise ValueError(
            f"{NAME}: this VAE gives latents with {latents[0].shape[1]} channels, expected {channels}. Connect the "
            "model's own VAE (for FLUX.1: ae.safetensors)."
        )


def _vec(model: ModelPatcher, clip: CLIP, text: str) -> ClipVec:
    """The CLIP prompt; zeros from a CLIP without CLIP-L, as ComfyUI has them for a CONDITIONING without."""
    if encoder_of(clip, CLIP_L) is None:
        return ClipVec((Span(torch.zeros(1, flux1(model).vec_in_dim)),))
    return encode_clip_prompt(clip, text, FIRST, weighted=False)[0]


def _watched(model: ModelPatcher, clip: CLIP, txt: T5Text, question: Question) -> tuple[ModelPatcher, ReadingStore]:
    words, likeness = question.words, question.likeness
    if question.measure == CONCEPT:
        return watched_concepts(model, clip, words, question.background, "double", 1, likeness, NAME)
    options = {"clip": clip, "at": str(question.sigma), "likeness": likeness}
    return watched(model, txt, words, question.measure, 1, False, NAME, **options)


def _once(
    model: ModelPatcher, store: ReadingStore, positive: list, latent: Tensor, question: Question, number: int, bar
) -> HeatReading:
    """One evaluation of the model on the latent with noise `number`: a step from sigma to 0."""
    check_interrupted()
    seed = (question.seed + number) % SEEDS
    samples = core.sample_custom(
        model, core.prepare_noise(latent, seed), 1.0, core.sampler("euler"), torch.tensor([question.sigma, 0.0]),
        positive, positive, latent, disable_pbar=True, seed=seed,
    )  # fmt: skip
    bar.update(1)
    return store.reading({SAMPLES: samples})


def _mean(readings: Sequence[HeatReading]) -> HeatReading:
    count, alike = len(readings), [each.likeness for each in readings if each.likeness is not None]
    return replace(
        readings[0],
        maps=sum(each.maps for each in readings) / count,
        groups=sum(each.groups for each in readings) / count,
        likeness=Likeness.of(sum(each.values.float() for each in alike) / count) if alike else None,
    )


def _beside(readings: Sequence[HeatReading]) -> HeatReading:
    """The readings of several pictures as that of a batch."""
    alike = [each.likeness for each in readings if each.likeness is not None]
    values, sums = ([getattr(each, name) for each in alike] for name in ("values", "sums"))
    return replace(
        readings[0],
        maps=torch.cat([each.maps for each in readings], 2),
        groups=torch.cat([each.groups for each in readings], 2),
        likeness=Likeness(torch.cat(values), torch.cat(sums)) if alike else None,
    )


def _check_room(reading: HeatReading, pictures: int, store: ReadingStore) -> None:
    """Raises ValueError if the maps of all pictures, of which this is the first, would take too much memory."""
    size, room = size_of(reading) * pictures, store.room()
    if size > room:
        raise ValueError(
            f"{NAME}: the maps of {pictures} pictures would take {shown(size)}, expected at most {shown(room)}, a "
            "quarter of the free memory. Name fewer words, give fewer pictures at once, or lower `megapixels`."
        )
