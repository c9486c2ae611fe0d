"""What watching costs: a step on blocks as wide as FLUX.1's, with the probe ("ours") and without ("native").

With PyTorch's attention, which ComfyUI uses on GPUs; and the maps' memory, computed. Needs ComfyUI.
"""

import argparse

import comfy.ldm.flux.math
import comfy.ldm.modules.attention
import torch
from torch import Tensor

from ...nano import layouts
from ...nodes.probe.heat.choices import CONCEPT, FLOW, MASS, OUTPUT
from ...nodes.probe.heat.concept_recorder import ConceptRecorder, Concepts
from ...nodes.probe.heat.reading import GROUPS
from ...nodes.probe.heat.recorder import KEY, HeatRecorder
from ...nodes.probe.heat.selection import Wanted
from ...nodes.probe.hooks import probed
from ...nodes.probe.reading_store import ReadingStore
from .. import step
from ..measure import SIDES, Comparison, compared, warn_if_busy

MEASURES = (MASS, FLOW, OUTPUT, CONCEPT)
BACKGROUNDS = 4  # concepts besides the words
DENSE = "dense capture"  # for comparison: the same maps from whole attention matrices


def every_word(words: int, positive: list) -> Wanted:
    """A Wanted with one word for each of the first `words` rows of the prompt."""
    member = torch.zeros(step.TXT_TOKENS, words + len(GROUPS), dtype=torch.bool)
    member[range(words), range(words)] = True
    return Wanted(tuple(f"word {number}" for number in range(words)), member, texts=(positive[0][0][0],))


class Dense:
    """Captures attention without the log-sum-exp: every block's whole matrix, of which the words' columns are kept."""

    def __init__(self, wanted: Wanted):
        self.member = wanted.member[:, : len(wanted.words)].float()
        self.maps: list[Tensor] = []

    def options(self, options: dict) -> dict:
        return {**options, "optimized_attention_override": self._attend}

    def reading(self) -> list[Tensor]:
        return self.maps

    def _attend(self, _attention, q, k, v, *_, **__) -> Tensor:
        share = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)  # [B, H, L, L]
        txt = len(self.member)
        self.maps.append((share[:, :, txt:, :txt] @ self.member).mean(1).half())
        return (share @ v).transpose(1, 2).flatten(2)


def watched(flux, measure: str, shape: layouts.Shape, chosen: argparse.Namespace) -> Comparison:
    """A step without the probe and a step with it."""
    positive = step.prompt(shape)
    wanted = every_word(chosen.words, positive)

    def begin(guider, sigmas, repainted):
        if measure == DENSE:
            return Dense(wanted)
        if measure == CONCEPT:
            rows = torch.randn(chosen.words + BACKGROUNDS, positive[0][0].shape[2])
            return ConceptRecorder(Concepts(wanted.words, rows), (0,), 1, sigmas, guider, repainted)
        return HeatRecorder(wanted, measure, 1, sigmas, guider, repainted=repainted)

    def sampled(model):
        return step.sampled(model, positive, chosen.tokens, chosen.steps)

    ready = probed(flux, ReadingStore("bench"), KEY, begin)
    calls = dict(zip(SIDES, (lambda: sampled(flux), lambda: sampled(ready)), strict=True))
    name = f"{measure}: a step, width {shape.hidden}, {chosen.tokens} + {step.TXT_TOKENS} tokens"
    return step.steps_compared(calls, chosen.rounds, chosen.steps, name, same=measure != DENSE)


def cost(chosen: argparse.Namespace) -> None:
    """Prints the cost, with PyTorch's attention on both sides: its kernel returns the log-sum-exp with its output."""
    comfy.ldm.flux.math.optimized_attention = comfy.ldm.modules.attention.attention_pytorch
    shape = step.SCALES[chosen.scale]
    flux = step.model(shape)
    warn_if_busy()
    results = [watched(flux, measure, shape, chosen) for measure in (*MEASURES, DENSE)]
    print(
        f"\n{chosen.rounds} rounds of {chosen.steps} steps, {shape.double} double and {shape.single} single blocks, "
        f"{chosen.words} words; the probe's latents are equal\n\n{compared(results)}\n"
    )
    kept = 20 * 57 * chosen.words * 4096 * 4
    print(
        f"Maps of {chosen.words} words at 1024 x 1024, 57 blocks, 20 steps, in float32 (computed): {kept / 1e6:.0f} MB"
    )
