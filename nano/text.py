"""Token ids of captions by ComfyUI's own tokenizers, with unknown words inserted at random."""

import random

import torch
from comfy.text_encoders.flux import FluxTokenizer
from torch import Tensor

from . import scenes

# Kinds of captions of a scene, functions of (scene, rng, long=...).
CAPTIONS = {
    "whole": scenes.whole_caption,
    "background": scenes.background_caption,
    "objects": scenes.object_caption,
    "nothing": lambda scene, rng, long=0.0: "",
}

# How often a batch has captions of several sentences, and how many of its captions: a batch is as long as its longest.
LONG = {0.0: 0.75, 0.6: 0.25}

# Pads are attended to, so the models learn with different numbers: up to the longest caption, 96, and ComfyUI's 256.
T5_LENGTHS = {0: 0.92, 96: 0.05, 256: 0.03}

# One caption in four has up to three runs of up to four random tokens of the vocabulary.
UNKNOWN, RUNS, RUN_LENGTH = 0.25, 3, 4


# For evaluation: nouns, verbs, styles and names that are common in prompts.
UNKNOWN_WORDS = (
    "cinematic",
    "photograph",
    "of",
    "my",
    "grandmother",
    "4k",
    "detailed",
    "running",
    "cat",
    "bicycle",
    "masterpiece",
    "Vermeer",
    "oil",
    "painting",
    "slowly",
    "trumpet",
    "beautiful",
    "seventeen",
    "octopus",
    "coffee",
    "because",
)


def choose(rng: random.Random, shares: dict):
    """A random key of a table of probabilities."""
    return rng.choices(list(shares), list(shares.values()))[0]


def _strew(row: list[int], vocabulary: int, start: int, rng: random.Random) -> list[int]:
    """Inserts random tokens into a caption, after `start` tokens and before the end token."""
    if rng.random() >= UNKNOWN:
        return row
    for _ in range(rng.randint(1, RUNS)):
        at = rng.randint(start, len(row) - 1)
        row = row[:at] + [rng.randrange(3, vocabulary) for _ in range(rng.randint(1, RUN_LENGTH))] + row[at:]
    return row


def words_at_random(rng: random.Random) -> str:
    """Two to six words that no caption has."""
    return " ".join(rng.sample(UNKNOWN_WORDS, rng.randint(2, 6)))


class Tokens:
    """ComfyUI's tokenizers for a batch, without prompt weights."""

    CLIP_LENGTH, CLIP_PAD, CLIP_WORDS = 77, 49407, 49405
    T5_PAD, T5_WORDS = 0, 32_000

    def __init__(self):
        tokenizer = FluxTokenizer()
        self._clip, self._t5 = tokenizer.clip_l.tokenizer, tokenizer.t5xxl.tokenizer

    def clip(self, texts: list[str], rng: random.Random | None = None) -> tuple[Tensor, list[int]]:
        """(ids [B, 77], lengths including the first end token); with `rng`, unknown words are inserted."""
        rows = self._clip(texts)["input_ids"]
        if rng:
            rows = [_strew(row, self.CLIP_WORDS, 1, rng)[: self.CLIP_LENGTH - 1] for row in rows]
            rows = [row if row[-1] == self.CLIP_PAD else [*row, self.CLIP_PAD] for row in rows]
        return self._pad(rows, self.CLIP_LENGTH, self.CLIP_PAD), [len(row) for row in rows]

    def t5(self, texts: list[str], length: int = 256, rng: random.Random | None = None) -> Tensor:
        """Ids [B, L] with L at least `length`; with `rng`, unknown words are inserted."""
        rows = self._t5(texts)["input_ids"]
        if rng:
            rows = [_strew(row, self.T5_WORDS, 0, rng) for row in rows]
        return self._pad(rows, max(length, *map(len, rows)), self.T5_PAD)

    @staticmethod
    def _pad(rows: list[list[int]], length: int, pad: int) -> Tensor:
        return torch.tensor([row + [pad] * (length - len(row)) for row in rows])
