"""Word Ablation: one run, and the model evaluated without each word at some of its steps. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...compat import text_encoders
from ...compat.previews import progress_bar
from ...condition.conditioning import join
from ...condition.controls import TXT, VEC
from ...condition.extras import with_extras
from ...condition.hooks import MERGES
from ...encode.clip_prompt import FIRST, encode_clip_prompt
from ...encode.encoding import encode_t5
from ...encode.tokens.inspection import read_by_clip, read_by_t5
from ...encode.tokens.lengths import COMFYUI, T5_PAD
from ...encode.tokens.weights import OFF
from ...keys import CLIP_L, T5XXL
from ...sample.sampling import SamplingPlan, sample
from ...streams import ClipVec, Stream, T5Text
from .. import repainted
from ..hooks import probed
from ..influence.effects import divided
from ..reading_store import ReadingStore
from ..reeval import Evaluation, Reevaluator
from ..repainted import Repainted
from ..replace_prompt import with_id, with_prompt
from .ablation import Word, check_chosen, control, deleted, trimmed, without, words
from .reading import CLIP, T5, WordEffect, WordReading

KEY, NAME = "flux_duet_words", "Word Ablation"


@dataclass(frozen=True, eq=False)
class EncodedPrompt:
    """A stream's prompt and how its text was made into it."""

    clip: text_encoders.CLIP
    text: str
    words: Sequence[Word]


@dataclass(frozen=True, eq=False)
class Variant:
    """One way of leaving a word out: a stream says `text` instead."""

    stream: str
    text: Tensor


def encoded_clip(clip: text_encoders.CLIP, text: str) -> ClipVec:
    return encode_clip_prompt(clip, text, FIRST, weighted=False)[0]


def encoded_t5(clip: text_encoders.CLIP, text: str) -> T5Text:
    return encode_t5(clip, text, COMFYUI, OFF)[0]


def prompts(
    clip: text_encoders.CLIP, t5: text_encoders.CLIP, clip_text: str, t5_text: str, chosen: str
) -> tuple[EncodedPrompt, EncodedPrompt]:
    """Both prompts and those of their words that are to be left out."""
    # Encoding first: a CLIP without the encoder is told in its own words.
    encoded_clip(clip, clip_text), encoded_t5(t5, t5_text)
    by_clip = read_by_clip(text_encoders.tokenizer_of(clip, CLIP_L), clip_text, weighted=False)
    by_t5 = read_by_t5(text_encoders.tokenizer_of(t5, T5XXL), t5_text, COMFYUI, weighted=False)
    of_clip, of_t5 = (words(each.text, each.pieces, each.read, chosen) for each in (by_clip, by_t5))
    check_chosen(chosen, of_clip, of_t5)
    if not of_clip and not of_t5:
        raise ValueError(f"{NAME}: got two prompts without a word, expected at least one word in one of them.")
    return EncodedPrompt(clip, clip_text, of_clip), EncodedPrompt(t5, t5_text, of_t5)


def variants(clip: EncodedPrompt, t5: EncodedPrompt) -> list[list[Variant]]:
    """For each word of T5, then of CLIP: (rows deleted, encoded again), and encoded again; last the control."""
    txt = one(encoded_t5(t5.clip, t5.text))
    out = []
    for word in t5.words:
        again = encoded_t5(t5.clip, without(t5.text, word))
        pads = [token for chunk in again.source.tokens for token, _ in chunk].count(T5_PAD)
        rows = deleted(txt, word)
        out.append([Variant(TXT, rows), Variant(TXT, trimmed(one(again), rows.shape[1], pads))])
    out += [[Variant(VEC, one(encoded_clip(clip.clip, without(clip.text, word))))] for word in clip.words]
    return [*out, [Variant(TXT, control(txt))]]


def one(stream: Stream) -> Tensor:
    """Raises ValueError for a CLIP that encodes a text anew in every part of a run."""
    if len(stream.spans) > 1:
        raise ValueError(f"{NAME}: this CLIP has scheduled hooks, expected one that encodes a text once.")
    return stream.spans[0].tensor


def measure(
    model,
    clip: EncodedPrompt,
    t5: EncodedPrompt,
    latent: dict,
    guidance: float,
    plan: SamplingPlan,
    at: Sequence[float],
    extras: Mapping[str, Any],
) -> WordReading:
    """Samples once, and asks anew at the steps nearest to the sigmas `at`. `extras` are what else the prompts carry."""
    told = variants(clip, t5)
    probe = ReadingStore(NAME)
    recorders = []

    def begin(guider, sigmas, repainted):
        recorders.append(WordRecorder(guider, sigmas, repainted, at, told))
        return recorders[-1]

    txt = with_extras(encoded_t5(t5.clip, t5.text), extras, MERGES, NAME)
    positive = join(encoded_clip(clip.clip, clip.text), txt, guidance, MERGES)
    out = sample(probed(model, probe, KEY, begin), positive, None, latent, plan)
    (steps, sigmas, shares, changes, rows), settings = probe.run(out)
    found = []
    for number, (stream, word) in enumerate(
        [*((T5, each) for each in t5.words), *((CLIP, each) for each in clip.words)]
    ):
        values = [change[number] for change in changes]  # of each step: one value, or three
        columns = [tuple(column) for column in zip(*values, strict=True)]
        names = ("encoded", "deleted", "leaked")[: len(columns)]
        found.append(
            WordEffect(stream, word.text, word.start, len(word.tokens), **dict(zip(names, columns, strict=True)))
        )
    any_row = tuple(change[-1][0] for change in changes)
    return WordReading(found, steps, sigmas, rows, settings, any_row, shares)


class WordRecorder:
    """For one run: at each step and for each word how far the velocity is from the plain one, relative to it.

    Under a mask, of what reaches the picture; a level at which nothing is repainted tells nothing, and is left out
    unless there is no other.
    """

    def __init__(self, guider, sigmas: Tensor, mask: Repainted, at: Sequence[float], told: Sequence[Sequence[Variant]]):
        levels = [float(sigma) for sigma in sigmas][:-1]
        nearest = {min(range(len(levels)), key=lambda step: abs(levels[step] - sigma)) for sigma in at}
        self.reevaluator = Reevaluator(KEY, guider, sigmas, nearest, self._measure, mask)
        self.told, self.moments = told, []
        self.progress = progress_bar(len(nearest))

    def options(self, options: dict) -> dict:
        return self.reevaluator.options(options)

    def reading(self):
        self.reevaluator.check(NAME)
        moments = [each for each in self.moments if each[2] != 0] or self.moments
        steps, sigmas, shares, values = zip(*moments, strict=True)
        changes = []
        for each in values:
            numbers = iter(each.tolist())
            changes.append([[next(numbers) for _ in range(3 if len(word) == 2 else 1)] for word in self.told])
        return steps, sigmas, None if None in shares else shares, changes, tuple(self.reevaluator.counts.rows)

    def _measure(self, evaluation: Evaluation) -> None:
        (entry,) = evaluation.entries
        flat = [way for word in self.told for way in word]
        asked = [[with_id(with_prompt(entry, way.stream, way.text), f"way {at}")] for at, way in enumerate(flat)]
        velocities = iter(evaluation.again(asked))
        distances = []
        for word in self.told:
            *rows, again = [next(velocities) for _ in word]
            distances.append(evaluation.velocity - again)
            distances += [difference for each in rows for difference in (evaluation.velocity - each, each - again)]
        relative = divided(torch.stack([each.norm() for each in distances]), evaluation.velocity.norm())
        share = repainted.share(evaluation.mask, len(evaluation.velocity))
        share = None if share is None else float(share.mean())
        self.moments.append((evaluation.step, evaluation.sigma, share, relative))
        self.progress.update(1)
