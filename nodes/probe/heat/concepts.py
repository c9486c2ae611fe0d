"""Encodes concepts and attaches Concept Heatmap to a model. Imports ComfyUI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from ...compat import guiders
from ...compat.flux_model import transformer_of
from ...compat.patches import ModelPatcher
from ...compat.text_encoders import CLIP
from ...condition.blocks import Blocks, Depth
from ...encode.choices import OFF
from ...encode.encoding import encode_t5
from ...family import require_flux1
from ...flux1_sizes import DOUBLE
from ..hooks import probed
from ..phrases import folded
from ..reading_store import ReadingStore
from .concept_recorder import KEY, NAME, ConceptRecorder, Concepts
from .memory import check_room, planned
from .spread.recorder import WithLikeness
from .tokens import MOST_WORDS

PUBLISHED = "14-17"  # of FLUX.1's double blocks, counted from 0; spread/recorder.py has the same


def chosen_concepts(words: str, background: str, node: str = NAME) -> tuple[list[str], list[str]]:
    """(words, background concepts), each once; what is a word is no background. Raises ValueError for too few."""
    found, rest = _named(words), _named(background)
    known = {folded(word) for word in found}
    rest = [each for each in rest if folded(each) not in known]
    if not 1 <= len(found) <= MOST_WORDS:
        raise ValueError(f"{node}: got {len(found)} `words`, expected 1 to {MOST_WORDS}, separated by commas or lines.")
    if len(found) + len(rest) < 2:
        raise ValueError(
            f"{node}: got one concept, {found[0]!r}, expected at least two: a map compares concepts. Add a word, or a "
            "`background` that differs from the words, such as: background."
        )
    if len(rest) > MOST_WORDS:
        raise ValueError(f"{node}: got {len(rest)} concepts in `background`, expected at most {MOST_WORDS}.")
    return found, rest


def _named(text: str) -> list[str]:
    return list(_once(filter(None, (each.strip() for each in re.split(r"[,\n]", text)))))


def _once(names) -> Iterator[str]:
    seen = set()
    for name in names:
        if folded(name) not in seen:
            seen.add(folded(name))
            yield name


def encoded(clip: CLIP, words: list[str], background: list[str]) -> Concepts:
    """Each concept's first token's row, of the concept encoded alone, as the authors' code has it."""
    rows = [encode_t5(clip, concept, mode=OFF)[0].spans[0].tensor[0, 0] for concept in (*words, *background)]
    return Concepts(tuple(words), torch.stack(rows))


def double_blocks(flux: Any, blocks: str) -> list[int]:
    """The double blocks in a list; "" for those published, or all of a model that is not as deep as FLUX.1.

    Raises ValueError if there is none.
    """
    depth = Depth.of(flux)
    text = blocks if blocks.strip() else PUBLISHED if depth.double == DOUBLE else "double"
    found = sorted(each for each in Blocks.parse(text).within(*depth) if each < depth.double)
    if not found:
        raise ValueError(
            f"{NAME}: `blocks` is {blocks!r}, which names no double block; expected some of 0 to {depth.double - 1}. "
            "Single blocks have no separate text tokens, so concepts do not go through them."
        )
    return found


def watched_concepts(
    model: ModelPatcher, clip: CLIP, words: str, background: str, blocks: str, every: int, likeness: bool = False,
    node: str = NAME,
) -> tuple[ModelPatcher, ReadingStore]:  # fmt: skip
    """The model that is watched as it samples, and the ReadingStore of what is seen."""
    require_flux1(model, node)
    names, probe = chosen_concepts(words, background, node), ReadingStore(node)
    chosen = double_blocks(transformer_of(model), blocks)
    concepts = encoded(clip, *names)

    def check(guider, sigmas, shape):
        flux = transformer_of(guiders.model_of(guider))
        plan = planned(flux, len(concepts.words), every, False, len(sigmas) - 1, shape)
        check_room(replace(plan, blocks=Depth.of(flux).double, likeness=likeness), probe.room(), node)

    def begin(guider, sigmas, repainted):
        recorder = ConceptRecorder(concepts, chosen, every, sigmas, guider, repainted)
        return WithLikeness(recorder, every, sigmas, guider) if likeness else recorder

    return probed(model, probe, KEY, begin, check), probe
