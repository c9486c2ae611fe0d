"""Word Ablation: samples once and evaluates the model without each word at some of the steps. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...compat import guiders, text_encoders
from ...compat.flux_model import transformer_of
from ...compat.previews import progress_bar
from ...condition.conditioning import join
from ...condition.controls import TXT, VEC
from ...condition.extras import with_extras
from ...condition.hooks import MERGES
from ...encode.choices import FIRST, OFF
from ...encode.clip_prompt import encode_clip_prompt
from ...encode.encoding import encode_t5
from ...encode.tokens.inspection import read_by_clip, read_by_t5
from ...encode.tokens.lengths import COMFYUI, T5_PAD
from ...flux1_sizes import PATCH
from ...keys import CLIP_L, T5XXL
from ...sample.sampling import SamplingPlan, sample
from ...streams import ClipVec, Stream, T5Text
from .. import repainted
from ..heat.causal.recorder import compared, grid_of
from ..hooks import probed
from ..influence.effects import divided
from ..noise_levels import nearest
from ..reading_store import ReadingStore
from ..reeval import Evaluation, Reevaluator
from ..repainted import Repainted
from ..replace_prompt import with_id, with_prompt
from .ablation import Word, check_chosen, control, deleted, trimmed, without, words
from .choices import NAME
from .reading import CLIP, T5, WordEffect, WordReading

KEY = "flux_duet_words"


@dataclass(frozen=True, eq=False)
class EncodedPrompt:
    """A prompt's text, the CLIP that encodes it, and the words to leave out."""

    clip: text_encoders.CLIP
    text: str
    words: Sequence[Word]


@dataclass(frozen=True, eq=False)
class Variant:
    """A prompt without a word: the stream's tensor is replaced by `text`."""

    stream: str
    text: Tensor


def encoded_clip(clip: text_encoders.CLIP, text: str) -> ClipVec:
    return encode_clip_prompt(clip, text, FIRST, weighted=False)[0]


def encoded_t5(clip: text_encoders.CLIP, text: str) -> T5Text:
    return encode_t5(clip, text, COMFYUI, OFF)[0]


def prompts(
    clip: text_encoders.CLIP, t5: text_encoders.CLIP, clip_text: str, t5_text: str, chosen: str
) -> tuple[EncodedPrompt, EncodedPrompt]:
    """(CLIP prompt, T5 prompt), each with the words to leave out. Raises ValueError for an unknown word, or if none."""
    # Encode first, for the error message of a CLIP that lacks the encoder.
    encoded_clip(clip, clip_text), encoded_t5(t5, t5_text)
    by_clip = read_by_clip(text_encoders.tokenizer_of(clip, CLIP_L), clip_text, weighted=False)
    by_t5 = read_by_t5(text_encoders.tokenizer_of(t5, T5XXL), t5_text, COMFYUI, weighted=False)
    of_clip, of_t5 = (words(each.text, each.pieces, each.read, chosen) for each in (by_clip, by_t5))
    check_chosen(chosen, of_clip, of_t5)
    if not of_clip and not of_t5:
        raise ValueError(f"{NAME}: got two prompts without a word, expected at least one word in one of them.")
    return EncodedPrompt(clip, clip_text, of_clip), EncodedPrompt(t5, t5_text, of_t5)


def variants(clip: EncodedPrompt, t5: EncodedPrompt) -> list[list[Variant]]:
    """For each T5 word [rows deleted, encoded again], then for each CLIP word [encoded again], last [control]."""
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
    """The tensor of a stream's only span. Raises ValueError for a CLIP with scheduled hooks, which makes several."""
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
    """Samples once, and evaluates all variants at the steps nearest to the sigmas `at`.

    `extras` are other values of the CONDITIONING, such as reference latents.
    """
    changed = variants(clip, t5)
    probe = ReadingStore(NAME)
    recorders = []

    def begin(guider, sigmas, repainted):
        recorders.append(WordRecorder(guider, sigmas, repainted, at, changed))
        return recorders[-1]

    txt = with_extras(encoded_t5(t5.clip, t5.text), extras, MERGES, NAME)
    positive = join(encoded_clip(clip.clip, clip.text), txt, guidance, MERGES)
    out = sample(probed(model, probe, KEY, begin), positive, None, latent, plan)
    (steps, sigmas, shares, changes, rows, maps), settings = probe.run(out)
    found = []
    for number, (stream, word) in enumerate(
        [*((T5, each) for each in t5.words), *((CLIP, each) for each in clip.words)]
    ):
        values = [change[number] for change in changes]  # for each step: [encoded] or [encoded, deleted, leaked]
        columns = [tuple(column) for column in zip(*values, strict=True)]
        names = ("encoded", "deleted", "leaked")[: len(columns)]
        found.append(
            WordEffect(stream, word.text, word.start, len(word.tokens), **dict(zip(names, columns, strict=True)))
        )
    any_row = tuple(change[-1][0] for change in changes)
    return WordReading(found, steps, sigmas, rows, settings, any_row, shares, maps, out)


class WordRecorder:
    """For one run: records the velocity's relative change, and where it is, for each word at each chosen step.

    With a mask, only the repainted part counts; steps at which nothing is repainted are left out unless all are such.
    """

    def __init__(
        self, guider, sigmas: Tensor, mask: Repainted, at: Sequence[float], variants: Sequence[Sequence[Variant]]
    ):  # fmt: skip
        steps = nearest(sigmas.tolist(), at)
        self.reevaluator = Reevaluator(KEY, guider, sigmas, steps, self._measure, mask)
        self.variants, self.moments = variants, []
        self.patch = getattr(transformer_of(guiders.model_of(guider)), "patch_size", PATCH)  # a wrapped one has none
        self.progress = progress_bar(len(steps))

    def options(self, options: dict) -> dict:
        return self.reevaluator.options(options)

    def reading(self):
        self.reevaluator.check(NAME)
        moments = [each for each in self.moments if each[2] != 0] or self.moments
        steps, sigmas, shares, values, maps = zip(*moments, strict=True)
        changes = []
        for each in values:
            numbers = iter(each.tolist())
            changes.append([[next(numbers) for _ in range(3 if len(word) == 2 else 1)] for word in self.variants])
        rows = tuple(self.reevaluator.counts.rows)
        return steps, sigmas, None if None in shares else shares, changes, rows, torch.stack(maps).mean(0)

    def _measure(self, evaluation: Evaluation) -> None:
        (entry,) = evaluation.entries
        flat = [variant for word in self.variants for variant in word]
        entries = [with_id(with_prompt(entry, each.stream, each.text), f"way {at}") for at, each in enumerate(flat)]
        velocities = iter(evaluation.again([[changed] for changed in entries]))
        distances, without = [], []
        for word in self.variants:
            *rows, again = [next(velocities) for _ in word]
            without.append(again)
            distances.append(evaluation.velocity - again)
            distances += [difference for each in rows for difference in (evaluation.velocity - each, each - again)]
        relative = divided(torch.stack([each.norm() for each in distances]), evaluation.velocity.norm())
        share = repainted.share(evaluation.mask, len(evaluation.velocity))
        share = None if share is None else float(share.mean())
        grid = grid_of(evaluation, self.patch)
        maps, _ = compared(evaluation.velocity, without[:-1], grid)  # the last is the control
        places = maps.unflatten(-1, grid.whole)
        self.moments.append((evaluation.step, evaluation.sigma, share, relative, places))
        self.progress.update(1)
