"""A CLIP prompt -> vec, with prompt weights, and with rules for prompts longer than CLIP-L reads. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from ..compat.text_encoders import CLIP
from ..streams import ClipVec, Span
from .choices import AVERAGE, FIRST, STRONGEST
from .encoding import CLIP_L, Cut, clip_chunks, decoded, encode_clip, encode_clip_chunks, inversion_notes, source_of
from .tokens import weights
from .tokens.lengths import Tokens, unweighted, words

Read = tuple[ClipVec, "Cut | None"]


def encode_clip_prompt(clip: CLIP, text: str, past: str, weighted: bool = True) -> tuple[ClipVec, list[str]]:
    """`text` -> (vec [1, 768], notes for the user: text that CLIP-L did not read, weights without effect).

    `past` is one of PAST. A weight like `(word:1.3)` moves vec, see weights.py; CLIP-L runs once more for each. For
    text without weights that fits into 75 tokens, vec equals that of `encode_clip` bit for bit. Numbers that may not be
    meant as weights are text, see weight_number.py.
    """
    read = READERS[past]
    prompt = weights.parse(text if weighted else weights.escape(text), strict=True)
    chunks = clip_chunks(clip, prompt.native)
    plain, cut = read(clip, unweighted(chunks))
    acting = [group for group in prompt.groups if group.change]
    without = [read(clip, clip_chunks(clip, prompt.plain(without=group)))[0] for group in acting]
    idle = [group for group, each in zip(acting, without, strict=True) if _same(plain, each)]
    notes = [*([str(cut)] if cut else []), *inversion_notes(clip, text, weighted), *weights.clip_notes(prompt, idle)]
    vec = _moved(plain, without, [group.change for group in acting])
    settings = {"past_75": past, "weights": "act" if weighted else "are text"}
    return replace(vec, source=source_of(clip, CLIP_L, text, chunks, settings)), notes


def _moved(plain: ClipVec, without: list[ClipVec], changes: list[float]) -> ClipVec:
    if not changes:
        return plain
    spans = []
    for index, span in enumerate(plain.spans):
        removed = [(each.spans[index].tensor, change) for each, change in zip(without, changes, strict=True)]
        spans.append(Span(weights.move(span.tensor, removed), span.extras))
    return ClipVec(tuple(spans))


def _same(one: ClipVec, other: ClipVec) -> bool:
    return all(torch.equal(a.tensor, b.tensor) for a, b in zip(one.spans, other.spans, strict=True))


# ---- prompts of more than one chunk


def _first(clip: CLIP, chunks: list[Tokens]) -> Read:
    """The first chunk's vec, as in ComfyUI; the rest is lost."""
    return encode_clip_chunks(clip, chunks), _cut(clip, chunks, 0)


def _average(clip: CLIP, chunks: list[Tokens]) -> Read:
    """The mean of all chunks' vectors."""
    vecs = _each(clip, chunks)
    if len(vecs) == 1:
        return vecs[0], None
    spans = zip(*(vec.spans for vec in vecs), strict=True)
    mean = (Span(torch.stack([span.tensor for span in same]).mean(0), same[0].extras) for same in spans)
    return ClipVec(tuple(mean)), None


def _strongest(clip: CLIP, chunks: list[Tokens]) -> Read:
    """The vec that is farthest (L2) from the empty prompt's; the other chunks are lost."""
    vecs = _each(clip, chunks)
    if len(vecs) == 1:
        return vecs[0], None
    empty = encode_clip(clip, "").spans[0].tensor
    distances = [float((vec.spans[0].tensor - empty).norm()) for vec in vecs]
    farthest = distances.index(max(distances))
    return vecs[farthest], _cut(clip, chunks, farthest)


def _each(clip: CLIP, chunks: list[Tokens]) -> list[ClipVec]:
    """The vec of each chunk, encoded separately."""
    return [encode_clip_chunks(clip, [chunk]) for chunk in chunks]


def _cut(clip: CLIP, chunks: list[Tokens], kept: int) -> Cut | None:
    """What is lost if only chunk `kept` is used; None for nothing."""
    by_chunk = [words(chunk) for chunk in chunks]
    lost = [token for index, ids in enumerate(by_chunk) if index != kept for token in ids]
    if not lost:
        return None
    return Cut("CLIP-L", sum(map(len, by_chunk)), len(by_chunk[kept]), decoded(clip, lost, CLIP_L).strip())


Reader = Callable[[CLIP, list[Tokens]], Read]
READERS: dict[str, Reader] = {FIRST: _first, AVERAGE: _average, STRONGEST: _strongest}
