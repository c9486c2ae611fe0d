"""What the two encoders are given: captions as ComfyUI's own token ids, with unknown words strewn in."""

import random

import torch
from comfy.text_encoders.flux import FluxTokenizer
from torch import Tensor

from . import scenes

# What a stream can be told about a scene.
CAPTIONS = {
    "whole": scenes.whole_caption,
    "background": scenes.background_caption,
    "objects": scenes.object_caption,
    "nothing": lambda scene, rng: "",
}

# Pads are attended to, so their number is part of what is learned: none beyond the longest caption, some, ComfyUI's.
T5_LENGTHS = {0: 0.92, 96: 0.05, 256: 0.03}

# One caption in four has up to three runs of up to four tokens that mean nothing: any token of the vocabulary.
UNKNOWN, RUNS, RUN_LENGTH = 0.25, 3, 4


# For judging: nouns, verbs, styles and names as people put them into prompts.
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
    """One key of a table of shares."""
    return rng.choices(list(shares), list(shares.values()))[0]


def _strew(row: list[int], vocabulary: int, start: int, rng: random.Random) -> list[int]:
    """Put unknown words between the tokens of a caption, after `start` tokens and before the end token."""
    if rng.random() >= UNKNOWN:
        return row
    for _ in range(rng.randint(1, RUNS)):
        at = rng.randint(start, len(row) - 1)
        row = row[:at] + [rng.randrange(3, vocabulary) for _ in range(rng.randint(1, RUN_LENGTH))] + row[at:]
    return row


def words_at_random(rng: random.Random) -> str:
    """Words that no caption has."""
    return " ".join(rng.sample(UNKNOWN_WORDS, rng.randint(2, 6)))


class Tokens:
    """ComfyUI's tokenizers on a whole batch; no weights, so each is a plain call of the tokenizer beneath."""

    CLIP_LENGTH, CLIP_PAD, CLIP_WORDS = 77, 49407, 49405
    T5_PAD, T5_WORDS = 0, 32_000

    def __init__(self):
        tokenizer = FluxTokenizer()
        self._clip, self._t5 = tokenizer.clip_l.tokenizer, tokenizer.t5xxl.tokenizer

    def clip(self, texts: list[str], rng: random.Random | None = None) -> tuple[Tensor, list[int]]:
        """[B, 77], and the place after each first end token; with `rng`, unknown words among the others."""
        rows = self._clip(texts)["input_ids"]
        if rng:
            rows = [_strew(row, self.CLIP_WORDS, 1, rng)[: self.CLIP_LENGTH - 1] for row in rows]
            rows = [row if row[-1] == self.CLIP_PAD else [*row, self.CLIP_PAD] for row in rows]
        return self._pad(rows, self.CLIP_LENGTH, self.CLIP_PAD), [len(row) for row in rows]

    def t5(self, texts: list[str], length: int = 256, rng: random.Random | None = None) -> Tensor:
        """[B, L] with L at least `length`; with `rng`, unknown words among the others."""
        rows = self._t5(texts)["input_ids"]
        if rng:
            rows = [_strew(row, self.T5_WORDS, 0, rng) for row in rows]
        return self._pad(rows, max(length, *map(len, rows)), self.T5_PAD)

    @staticmethod
    def _pad(rows: list[list[int]], length: int, pad: int) -> Tensor:
        return torch.tensor([row + [pad] * (length - len(row)) for row in rows])
