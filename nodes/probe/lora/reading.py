"""What LoRA Anatomy measured: each weight's change, gathered by part and block; as JSON, table and sentence. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from ...condition.blocks import Depth
from ...lora.parts import (
    CLIP_ENCODER,
    CLIP_STREAM,
    ENCODERS,
    IMAGE,
    JOINT,
    PARTS,
    T5_ENCODER,
    T5_STREAM,
    TITLES,
    Place,
)
from ..percent import percent

IN_WORDS = {
    CLIP_STREAM: "the CLIP stream",
    T5_STREAM: "the T5 stream",
    IMAGE: "the image layers",
    JOINT: "the attention and MLP of the single blocks",
    CLIP_ENCODER: "the CLIP-L encoder",
    T5_ENCODER: "the T5 encoder",
}
NOTHING_IN_COMMON = "The two LoRAs have no changed weight in common."


@dataclass(frozen=True)
class WeightChange:
    """One weight: the norm of its change and its own; `own` is None if the weight cannot be read.

    `rank` is (effective rank, rank of the factors), None for a change that is not low-rank.
    """

    name: str
    place: Place
    change: float
    own: float | None
    rank: tuple[float, int] | None = None


class Total(NamedTuple):
    """Several weights together: roots of the sums of squares, and mean ranks."""

    weights: int
    change: float
    own: float | None
    effective_rank: float | None
    rank: float | None

    @property
    def relative(self) -> float | None:
        """|change| / |weights|."""
        return self.change / self.own if self.own else None

    @classmethod
    def of(cls, changes: Iterable[WeightChange]) -> Total:
        found = list(changes)
        own = None if any(each.own is None for each in found) else _root(each.own for each in found)
        ranks = [each.rank for each in found if each.rank]
        means = [sum(each[at] for each in ranks) / len(ranks) for at in (0, 1)] if ranks else (None, None)
        return cls(len(found), _root(each.change for each in found), own, *means)


def _root(values: Iterable[float]) -> float:
    return sum(value**2 for value in values) ** 0.5


@dataclass(frozen=True)
class LoraReading:
    """A file's changes of a model of this depth; `held` counts the weights of each part that are connected.

    `unused` are names of tensors that act on nothing. `spread` is the standard error of the weights' own norms.
    """

    file: str
    changes: Sequence[WeightChange]
    depth: Depth
    held: Mapping[str, int]
    tensors: int
    unused: Sequence[str] = ()
    spread: float = 0.0

    @cached_property
    def whole(self) -> Total:
        return Total.of(self.changes)

    def total(self, part: str) -> Total:
        return Total.of(each for each in self.changes if each.place.part == part)

    def cells(self) -> dict[Place, Total]:
        """By part and block; block None is what is outside the blocks."""
        found: dict[Place, list[WeightChange]] = {}
        for each in self.changes:
            found.setdefault(each.place, []).append(each)
        return {place: Total.of(several) for place, several in found.items()}

    def share(self, total: Total) -> float:
        """Of the sum of squares of all changes."""
        return (total.change / self.whole.change) ** 2 if self.whole.change else 0.0


@dataclass(frozen=True)
class Comparison:
    """Two files: the cosine of their changes in each part where both change something, and as a whole."""

    one: LoraReading
    other: LoraReading
    cosines: Mapping[str, float] = field(default_factory=dict)
    whole: float | None = None


# ---- as JSON


def as_json(readings: Sequence[LoraReading], compared: Comparison | None, text: str) -> dict[str, Any]:
    return {
        "sentence": text,
        "files": [_file(reading) for reading in readings],
        "cosine": compared and {"whole": compared.whole, **compared.cosines},
    }


def _file(reading: LoraReading) -> dict[str, Any]:
    cells = sorted(reading.cells().items(), key=lambda each: (PARTS.index(each[0].part), each[0].block or -1))
    return {
        "file": reading.file,
        "tensors": reading.tensors,
        "unused": list(reading.unused),
        "own norms, standard error": reading.spread,
        "whole": _numbers(reading, reading.whole),
        "parts": {part: {"held": reading.held.get(part, 0), **_numbers(reading, reading.total(part))}
                  for part in PARTS},
        "blocks": [{"part": place.part, "block": place.block, **_numbers(reading, total)} for place, total in cells],
        "weights": [
            {"name": each.name, "part": each.place.part, "block": each.place.block, "change": each.change,
             "own": each.own, "effective rank": each.rank and each.rank[0], "rank": each.rank and each.rank[1]}
            for each in reading.changes
        ],
    }  # fmt: skip


def _numbers(reading: LoraReading, total: Total) -> dict[str, Any]:
    return {
        "changed": total.weights,
        "change": total.change,
        "own": total.own,
        "relative": total.relative,
        "share": reading.share(total),
        "effective rank": total.effective_rank,
        "rank": total.rank,
    }


# ---- as a table


def table(readings: Sequence[LoraReading], compared: Comparison | None) -> str:
    """Markdown: a row for each part of each file, and the cosine of two files."""
    head = ["part", "weights changed", "relative change", "share of the change", "effective rank"]
    blocks = []
    for reading in readings:
        rows = [[TITLES[part], *_row(reading, reading.total(part), reading.held.get(part, 0))] for part in PARTS]
        rows.append(["all", *_row(reading, reading.whole, sum(reading.held.values()))])
        blocks.append(f"**{reading.file}**\n\n{_markdown(head, rows)}")
    if compared:
        pairs = [("all", compared.whole), *((TITLES[part], value) for part, value in compared.cosines.items())]
        rows = [[title, f"{value:.3f}"] for title, value in pairs if value is not None]
        blocks.append(_markdown(["part", "cosine of the two changes"], rows) if rows else NOTHING_IN_COMMON)
    return "\n\n".join(blocks)


def _row(reading: LoraReading, total: Total, held: int) -> list[str]:
    rank = "" if total.effective_rank is None else f"{total.effective_rank:.1f} of {total.rank:.0f}"
    relative = "" if total.relative is None else percent(total.relative)
    return [f"{total.weights} of {held}", relative, percent(reading.share(total)), rank]


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# ---- as a sentence


def sentence(readings: Sequence[LoraReading], compared: Comparison | None) -> str:
    """A line for each file: what it changes, where most of it is, what it does not touch; and how alike two are."""
    texts = [_told(reading) for reading in readings]
    if compared and compared.whole is None:
        texts.append(NOTHING_IN_COMMON)
    elif compared:
        most = max(compared.cosines, key=lambda part: abs(compared.cosines[part]))
        texts.append(
            f"The cosine similarity of the two changes is {_cosine(compared.whole)}. It is furthest from 0 in "
            f"{IN_WORDS[most]}: {_cosine(compared.cosines[most])}."
        )
    return "\n".join(texts)


def _cosine(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # no -0.00


def _told(reading: LoraReading) -> str:
    whole = reading.whole
    if not whole.change:
        return f"{reading.file} changes none of the connected models.{_unused(reading)}"
    relative = "" if whole.relative is None else f", by {percent(whole.relative)} of their norm"
    shares = sorted(((reading.share(reading.total(part)), part) for part in PARTS), reverse=True)
    named = [f"{percent(share)} in {IN_WORDS[part]}" for share, part in shares if share]
    named[0] = named[0].replace(" in ", " is in ", 1)
    rank = "" if whole.effective_rank is None else (
        f" Its effective rank is {whole.effective_rank:.1f} of {whole.rank:.0f} on average.")  # fmt: skip
    return (
        f"{reading.file} changes {whole.weights} of {sum(reading.held.values())} weights{relative}. Of its change, "
        f"{_listed(named)}.{_strongest(reading)}{rank}{_untouched(reading)}{_unused(reading)}"
    )


def _strongest(reading: LoraReading) -> str:
    """The block that changes most, relative to its weights."""
    blocks: dict[int, list[WeightChange]] = {}
    for each in reading.changes:
        if each.place.block is not None:
            blocks.setdefault(each.place.block, []).append(each)
    totals = {block: Total.of(several) for block, several in blocks.items()}
    known = {block: total.relative for block, total in totals.items() if total.relative}
    if len(known) < 2:
        return ""
    most = max(known, key=known.__getitem__)
    return f" Block {most} changes the most: by {percent(known[most])}."


def _untouched(reading: LoraReading) -> str:
    untouched: Callable[[str], bool] = lambda part: not reading.total(part).change  # noqa: E731
    held = [IN_WORDS[part] for part in PARTS if reading.held.get(part) and untouched(part)]
    text = f" It does not change {_listed(held, 'or')}." if held else ""
    absent = [TITLES[part] for part in ENCODERS if not reading.held.get(part)]
    return text + (f" Not connected: {_listed(absent)}." if absent else "")


def _unused(reading: LoraReading) -> str:
    return f" {len(reading.unused)} of its {reading.tensors} tensors have no effect here." if reading.unused else ""


def _listed(words: Sequence[str], last: str = "and") -> str:
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else words[0]
