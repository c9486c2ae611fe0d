"""What every section works with: the models, the prompts and the sizes. Needs ComfyUI."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from functools import cached_property

import comfy.model_management
import torch
from PIL.Image import Image

from ..bench import controls, step
from ..bench.controls import GUIDANCE, Prompts
from ..nodes.compat.text_encoders import t5_tokenizer
from ..nodes.condition.conditioning import join
from ..nodes.encode.tokens.lengths import COMFYUI, T5_PAD
from ..nodes.streams import Source, T5Text
from .models import Models

CLIP_TEXT = "a watercolour, soft light"
T5_TEXT = "a red circle to the left of a blue square, above them a small green star on a white wall"
SEED = 7


@dataclass
class Kit:
    """`evaluation` is the seconds that one evaluation of the model takes, once a section has measured it."""

    models: Models
    tokens: int
    rows: int
    rounds: int
    steps: int
    evaluation: float | None = None
    pages: dict[str, Image] = field(default_factory=dict)  # pictures to keep beside the report, by file name

    @classmethod
    def of(cls, chosen: argparse.Namespace, models: Models) -> Kit:
        large = models.scale == "real" and has_cuda()
        tokens, rows = chosen.tokens or (4096 if large else 64), chosen.rows or (256 if large else 64)
        return cls(models, tokens, rows, chosen.rounds, chosen.steps)

    @property
    def prompts(self) -> Prompts:
        return Prompts(self.models.shape, self.steps, self.rows)

    @cached_property
    def words(self) -> T5Text:
        """Random rows of the sampled prompt, with the tokens of T5_TEXT, whose words a heatmap can watch."""
        chunks = t5_tokenizer().tokenize_with_weights(T5_TEXT)
        tokens = [(int(token), float(weight)) for token, weight in chunks[0]][: self.rows]
        tokens += [(T5_PAD, 1.0)] * (self.rows - len(tokens))
        source = Source(T5_TEXT, [tokens], {"length": COMFYUI, "weights": "embedding"}, dict)
        return T5Text(self.prompts.txt(1).spans, source)

    @property
    def positive(self) -> list:
        return join(self.prompts.vec(1), self.words, GUIDANCE)

    @property
    def negative(self) -> list:
        return join(self.prompts.vec(2), self.prompts.txt(2), GUIDANCE)

    def latent(self) -> dict:
        return step.empty(self.tokens)

    def computed(self, positive: list) -> float:
        """Multiplications of a step with this prompt, as a multiple of the plain prompt's."""
        numbers = self.models.shape, self.tokens, self.steps
        return controls.computed(positive, *numbers) / controls.computed(self.positive, *numbers)

    def expected(self, evaluations: float) -> float:
        """Seconds for so many evaluations of the model; 0 while unknown."""
        return evaluations * (self.evaluation or 0.0)


def has_cuda() -> bool:
    return comfy.model_management.get_torch_device().type == "cuda"


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
