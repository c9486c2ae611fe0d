"""Accumulates one forward's maps while it runs: each word's value at each image token, in every block. Pure torch.

The state of a forward is kept in its own transformer_options, since several forwards may run at once on several GPUs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...sample.attention import with_heads
from .known import Known
from .lse import shares
from .reading import END, GROUPS, OTHER
from .selection import Wanted
from .token_grid import Grid

HEADS = 4  # computed at a time, to limit memory: shares are [image tokens, text tokens] for each head


@dataclass(frozen=True, eq=False)
class Result:
    """One prompt's result of a forward, in main memory.

    `maps` [blocks * heads, B, words, image] and `groups` [blocks * heads, B, kinds] are as in a HeatReading. `acts` [B]
    is the share of the picture in which the prompt acts, `counts` [B] the share that is in the means (Grid.counts),
    `repainted` [B, image] the repainted share of each token, None without a mask.
    """

    role: str
    maps: Tensor
    groups: Tensor
    acts: Tensor
    counts: Tensor
    repainted: Tensor | None

    def plus(self, other: Result) -> Result:
        """The sum of two entries of one prompt, each of which has a part of the picture."""
        counts = self.counts + other.counts
        part = (self.counts / counts.clamp_min(1e-12))[:, None]
        groups = torch.lerp(other.groups, self.groups, part)
        return Result(self.role, self.maps + other.maps, groups, self.acts + other.acts, counts, self.repainted)

    def towards(self, other: Result, part: float) -> Result:
        """Interpolates to `other` by `part`, to update a running mean."""
        pairs = ((getattr(self, each.name), getattr(other, each.name)) for each in fields(self)[1:])
        return Result(self.role, *(None if own is None else torch.lerp(own, new, part) for own, new in pairs))


class Means:
    """The mean result of each step, over its evaluations: a solver may make several."""

    def __init__(self):
        self.means: dict[int, tuple[Result, int]] = {}  # step -> (mean, number of evaluations)

    def add(self, step: int, result: Result) -> None:
        mean, count = self.means.get(step, (result, 0))
        self.means[step] = (mean.towards(result, 1 / (count + 1)) if count else result, count + 1)

    def stacked(self) -> tuple[tuple[int, ...], Tensor, Tensor, float, Tensor | None]:
        """(steps, maps, groups, acts, repainted), stacked over steps. Empties this object, to save memory."""
        numbers = tuple(sorted(self.means))
        first, acts, repainted = self.means[numbers[0]][0], 0.0, []
        maps = torch.empty(len(numbers), *first.maps.shape)
        groups = torch.empty(len(numbers), *first.groups.shape)
        for at, number in enumerate(numbers):
            result, _ = self.means.pop(number)
            maps[at], groups[at] = result.maps, result.groups
            acts += float(result.acts.mean()) / len(numbers)
            repainted.append(result.repainted)
        return numbers, maps, groups, acts, None if first.repainted is None else torch.stack(repainted)


class Chunk:
    """One prompt's rows of a batch. `member` [txt, kinds] is 1 where a text row belongs to a word or one of GROUPS.

    `known` is what the run's earlier forwards have found for this prompt, and is updated.
    """

    def __init__(
        self, role: str, rows: slice, grid: Grid, depth: int, heads: int, wanted: Wanted, known: Known | None = None
    ):  # fmt: skip
        self.role, self.rows, self.grid = role, rows, grid
        self.depth, self.heads, self.wanted = depth, heads, wanted
        self.known = known or Known()
        self.member: Tensor | None = None

    def locate(self, context: Tensor) -> bool:
        """Whether the prompt is in `context` [B, txt, C], the text that the attention sees, at the same rows for all B.

        Allocates the maps if it is.
        """
        own = context[self.rows]
        if not self.known.holds(own):
            self.known.learn(own, self._member(own))
        member = self.known.member
        if member is None:
            return False
        self.member = member
        self.allocate(len(own), member.shape[1], member.device)
        return True

    def allocate(self, pictures: int, kinds: int, device: torch.device) -> None:
        size = (self.depth, self.heads, pictures)
        # The maps of all heads may exceed the GPU's memory; the mean over heads does not.
        where = device if self.heads == 1 else torch.device("cpu")
        self.maps = torch.zeros(*size, len(self.wanted.words), self.grid.tokens, device=where)
        self.groups = torch.zeros(*size, kinds, device=device)
        self.weights = self.grid.weights(pictures, device)  # [B, image], adding up to 1

    def _member(self, own: Tensor) -> Tensor | None:
        member = self.wanted.within(own[0])
        return None if member is None or any(not self._same(each, member) for each in own[1:]) else member

    def _same(self, picture: Tensor, member: Tensor) -> bool:
        other = self.wanted.within(picture)
        return other is not None and torch.equal(other, member)

    def note(self, block: int, found: Tensor, its: Selected, is_mass: bool) -> None:
        """Adds a block's shares `found` [heads, B, kinds, Q] of the image tokens selected, each once in a block.

        They are the block's maps too if `is_mass`.
        """
        found = found if self.heads > 1 else found.mean(0, keepdim=True)
        self.groups[block] += (found * self.weights[:, None, its.places]).sum(-1)
        if is_mass:
            self.put(block, found[:, :, : len(self.wanted.words)], its.targets)

    def put(self, block: int, found: Tensor, targets: Tensor) -> None:
        """Sets a block's maps at the image tokens `targets` [Q] to `found` [heads, B, words, Q].

        `targets` are on the maps' device.
        """
        self.maps[block][..., targets] = found.to(self.maps)

    @property
    def concepts(self) -> list[Tensor]:
        """The text rows of each word, and then those that words are compared with (`note_output`): the prompt's other
        words, else its end token."""
        return self.known.get("concepts", self._concepts)

    def _concepts(self) -> list[Tensor]:
        words = len(self.wanted.words)
        rows = rows_of(self.member)
        rest = [rows[words + GROUPS.index(kind)] for kind in (OTHER, END)]
        return [each for each in (*rows[:words], rest[0] if len(rest[0]) else rest[1]) if len(each)]

    def note_concepts(self, block: int, shares: Tensor) -> None:
        """Sets a block's maps to those of the words in `shares` [B, concepts, image], of words and then backgrounds."""
        words = len(self.wanted.words)
        self.maps[block, 0] = shares[:, :words]
        means = (shares * self.weights[:, None]).sum(-1)
        self.groups[block, 0] = torch.cat((means[:, :words], means[:, words:].sum(1, keepdim=True)), 1)

    def result(self) -> Result:
        maps = self.grid.spread(self.maps).flatten(0, 1).to("cpu")
        groups, count = self.groups.flatten(0, 1).to("cpu"), self.maps.shape[2]
        grid = self.grid
        return Result(self.role, maps, groups, grid.acts(count), grid.counts(count), grid.repainted_tokens(count))


@dataclass(frozen=True, eq=False)
class Selected:
    """What one chunk reads of an attention call, as indices: image tokens among the queries, text among the columns.

    `places` [Q] are the numbers of the image tokens `queries` [Q], `targets` the same on the maps' device. `text` [C]
    are columns, `kinds` [C, kinds] what each belongs to, and `words` the indices into `text` of each word's. `group` is
    kept so that its id stays its own.
    """

    queries: Tensor
    places: Tensor
    targets: Tensor
    text: Tensor
    kinds: Tensor
    words: list[Tensor]
    group: Any

    @classmethod
    def of(cls, chunk: Chunk, q: Tensor, k: Tensor, group) -> Selected:
        txt = len(chunk.member)
        queries, places = image_of(q, group, txt, chunk.grid.tokens)
        everything = group is None or group.columns is None
        columns = torch.arange(k.shape[2], device=k.device) if everything else group.columns
        text = (columns < txt).nonzero()[:, 0]
        kinds = chunk.member[columns[text]]
        targets, words = places.to(chunk.maps.device), rows_of(kinds[:, : len(chunk.wanted.words)])
        return cls(queries, places, targets, text, kinds, words, group)


class Forward:
    """The state of one forward: its chunks, one for each prompt.

    Chunks that do not hold the watched prompt are removed at the first attention. `flow` is set for the measure flow,
    `output` for the measure output.
    """

    def __init__(self, chunks: list[Chunk], context: Tensor, flow=None, output: bool = False):
        self.chunks, self.context, self.flow, self.output = chunks, context, flow, output
        self.seen = self.located = False

    def locate(self, context: Tensor | None) -> list[Chunk]:
        """The chunks that hold the watched prompt. `context` are the text rows that the attention sees."""
        if not self.located:
            self.located = self.seen = True
            context = self.context if context is None else context
            self.chunks = [chunk for chunk in self.chunks if chunk.locate(context)]
        return self.chunks

    def note(self, block: int, q: Tensor, k: Tensor, v: Tensor, lse: Tensor, mask: Tensor | None, group) -> None:
        """Records a block's attention of image tokens (queries) to text tokens (columns).

        `lse` [B, H, Q] as of lse.py, `group` as of sample/attention.py.
        """
        for chunk in self.chunks:
            its = self._select(chunk, q, k, group)
            if not len(its.places):
                continue
            q_, lse_ = (each[chunk.rows][:, :, its.queries] for each in (q, lse))
            k_ = k[chunk.rows][:, :, its.text]
            mask_ = None if mask is None else _part(with_heads(mask, torch.float32), chunk.rows, its.queries, its.text)
            found = by_heads(q_, k_, lse_, mask_, partial(_by_kind, its.kinds))
            chunk.note(block, found, its, is_mass=self.flow is None)
            if self.flow is not None:
                whole = by_heads(q_, k_, lse_, mask_, lambda share: share.transpose(0, 1)).transpose(0, 1)
                found = self.flow.gram(block, v, chunk.rows, whole, its.words, its.text, chunk.heads)
                chunk.put(block, found, its.targets)

    def _select(self, chunk: Chunk, q: Tensor, k: Tensor, group) -> Selected:
        """Found once in a run, not in each block: a GPU waits while indices are counted."""
        key = id(group), q.shape[2], k.shape[2], chunk.grid.tokens
        return chunk.known.get(key, lambda: Selected.of(chunk, q, k, group))

    def note_output(self, block: int, attn: Tensor) -> None:
        """Records how similar each image token's attention output is to each word's (ConceptAttention, Helbling 2025).

        `attn` [B, txt + image, C]. Scores are a softmax over the words and one more concept, the rest of the prompt.
        """
        for chunk in self.chunks:
            txt, words = len(chunk.member), len(chunk.wanted.words)
            # [B, heads, txt + image, C / heads]: one head of all channels where the heads are not kept apart
            own = attn[chunk.rows].float().unflatten(-1, (chunk.heads, -1)).transpose(1, 2)
            image = own[:, :, txt : txt + chunk.grid.tokens]
            concepts = torch.stack([own[:, :, each].mean(2) for each in chunk.concepts], 2)
            scores = concepts @ image.mT / own.shape[-1] ** 0.5  # [B, heads, words + 1, image]
            targets = torch.arange(image.shape[2], device=chunk.maps.device)
            chunk.put(block, scores.softmax(2)[:, :, :words].transpose(0, 1), targets)


def rows_of(member: Tensor) -> list[Tensor]:
    """For each column of `member` [rows, columns], the indices of the rows in which it is not 0."""
    return [column.nonzero()[:, 0] for column in member.unbind(1)]


def by_heads(q: Tensor, k: Tensor, lse: Tensor, mask: Tensor | None, made: Callable[[Tensor], Tensor]) -> Tensor:
    """[heads, ...]: `made(shares)` for shares [B, H, Q, C] of a few heads at a time."""
    parts = []
    for start in range(0, q.shape[1], HEADS):
        heads = slice(start, start + HEADS)
        own = mask if mask is None or mask.shape[1] == 1 else mask[:, heads]
        parts.append(made(shares(q[:, heads], k[:, heads], lse[:, heads], own)))
    return torch.cat(parts)


def image_of(q: Tensor, group, txt: int, image: int) -> tuple[Tensor, Tensor]:
    """(indices of the queries that are image tokens, the numbers of those image tokens); reference images excluded.

    There may be fewer queries than columns, where a node caches keys between steps (Flux KV Cache).
    """
    rows = torch.arange(q.shape[2], device=q.device) if group is None else group.rows
    queries = ((rows >= txt) & (rows < txt + image)).nonzero()[:, 0]
    return queries, rows[queries] - txt


def _by_kind(kinds: Tensor, share: Tensor) -> Tensor:
    """[heads, B, kinds, Q]: shares [B, heads, Q, C] summed over the columns of each kind [C, kinds]."""
    return (share @ kinds).transpose(0, 1).mT


def _part(mask: Tensor, batch: slice, queries: Tensor, columns: Tensor) -> Tensor:
    mask = mask if mask.shape[0] == 1 else mask[batch]
    mask = mask if mask.shape[2] == 1 else mask[:, :, queries]
    return mask if mask.shape[3] == 1 else mask[..., columns]
