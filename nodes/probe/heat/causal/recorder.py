"""Evaluates the model without each word at some of a run's steps. Imports ComfyUI.

The difference of the two velocities is squared and summed over the channels and over each image token's pixels: where,
and how much, the picture would go elsewhere without the word. Beside the run's own noise others may be added: the x_0
that the model gives at the step is noised again to the same sigma.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ....compat import guiders
from ....compat.flux_model import transformer_of
from ...entries import POSITIVE, Place
from ...influence.effects import divided
from ...noise_levels import nearest
from ...reeval import Evaluation, Reevaluator
from ...repainted import Repainted, places_of
from ..choices import CAUSAL
from ..reading import HeatReading
from ..token_grid import Grid
from .entries import LeftOut

KEY = "flux_duet_causal"
NAME = "Token Heatmap"


class CausalRecorder:
    """For one run. `words` are left out at the steps nearest to the sigmas `at`; the maps are means over `noises`."""

    def __init__(
        self, words: Sequence[LeftOut], at: Sequence[float], noises: int, sigmas: Tensor, guider: Any,
        repainted: Repainted,
    ):  # fmt: skip
        self.words, self.noises, self.levels = words, noises, sigmas.tolist()
        self.patch = transformer_of(guiders.model_of(guider)).patch_size
        self.reevaluator = Reevaluator(KEY, guider, sigmas, nearest(self.levels, at), self._measure, repainted)
        self.steps: dict[int, tuple[Tensor, Tensor, Tensor | None]] = {}  # step -> (maps, changes, repainted)
        self.size = (0, 0)

    def options(self, options: dict) -> dict:
        return self.reevaluator.options(options)

    def reading(self) -> HeatReading:
        """Raises ValueError if the prompt was not part of the positive, or was never evaluated."""
        self.reevaluator.check(NAME)
        numbers = tuple(sorted(self.steps))
        maps, changes, repainted = zip(*(self.steps[number] for number in numbers), strict=True)
        return HeatReading(
            CAUSAL, tuple(each.word for each in self.words), torch.stack(maps)[:, None], torch.stack(changes)[:, None],
            tuple(self.levels[number] for number in numbers), numbers, 1, self.size, role=POSITIVE,
            repainted=None if repainted[0] is None else torch.stack(repainted),
        )  # fmt: skip

    def _measure(self, evaluation: Evaluation) -> None:
        prompts = [self._without(word, evaluation.entries) for word in self.words]
        grid = grid_of(evaluation, self.patch)
        several = [(evaluation.velocity, evaluation.again(prompts))]
        for number in range(1, self.noises):
            plain, *others = evaluation.again([evaluation.entries, *prompts], self._noised(evaluation, number))
            several.append((plain, others))
        maps, changes = zip(*(compared(plain, others, grid) for plain, others in several), strict=True)
        pictures, self.size = len(evaluation.velocity), grid.whole
        self.steps[evaluation.step] = (
            torch.stack(maps).mean(0), torch.stack(changes).mean(0), grid.repainted_tokens(pictures)
        )  # fmt: skip

    def _without(self, word: LeftOut, entries: Sequence) -> list:
        found = [word.of(entry) for entry in entries]
        if all(each is None for each in found):
            raise ValueError(
                f"{NAME}: the T5 prompt at `txt` is not part of the positive prompt at a step of `noise levels "
                "(sigma)`, so no word can be removed there. Connect the prompt that is sampled to `txt`. A prompt that "
                "is averaged or zeroed after its encoding (Conditioning Average, ZeroOut) is no longer that prompt."
            )
        return [entry if each is None else each for entry, each in zip(entries, found, strict=True)]

    def _noised(self, evaluation: Evaluation, number: int) -> Tensor:
        """The x_0 of this evaluation with noise number `number` at the same sigma."""
        start = evaluation.denoised
        noise = torch.randn(start.shape, generator=torch.Generator().manual_seed(number)).to(start)
        return evaluation.sigma * noise + (1 - evaluation.sigma) * start


def grid_of(evaluation: Evaluation, patch: int) -> Grid:
    """The image tokens of the whole picture, of patch x patch latent pixels each."""
    mask = evaluation.mask
    return Grid(evaluation.velocity.shape[-2:], patch, Place(), None if mask is None else places_of(mask))


def compared(plain: Tensor, others: Sequence[Tensor], grid: Grid) -> tuple[Tensor, Tensor]:
    """(maps [B, words, tokens], relative changes [B, words]) of velocities [B, C, h, w], in main memory."""
    squares = torch.stack([(plain - each).square().sum(1) for each in others], 1)  # [B, words, h, w]
    maps = grid.by_token(squares.flatten(0, 1)).unflatten(0, squares.shape[:2]).flatten(2)
    lengths = plain.flatten(1).norm(dim=1)[:, None]
    return maps.cpu(), divided(squares.sum((2, 3)).sqrt(), lengths.expand(-1, len(others))).cpu()
