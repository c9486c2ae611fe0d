"""Which of FLUX.1's blocks: 0 to 18 are double, 19 to 56 single, and `final` is the last layer's modulation. Pure.

A list of blocks is written before a model is there, so it is kept as words and resolved against a model's depth.
js/blocks/list.mjs reads lists too; tests/blocks.json has what both must agree on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..flux1_sizes import BLOCKS, NUMBERS
from ..keys import BLOCK_INDEX, BLOCK_TYPE
from ..quoting import shorten

FINAL = "final"
KINDS = ("double", "single")
# What JavaScript calls white space; Python's own list of it is another.
_SPACES = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_GAP, _EDGES = re.compile(f"[,{_SPACES}]+"), re.compile(f"^[{_SPACES}]+|[{_SPACES}]+$")
_NUMBERS = re.compile(r"([0-9]+)(?:-([0-9]*))?")
MOST_DIGITS = 4  # of a block's number: no model has so many blocks

# Presets, with where they come from. They were found on FLUX.1-dev's 57 blocks.
PRESETS = {
    "none": "none",
    "all": "all",
    "double blocks": "double",
    "single blocks": "single, final",
    "vital blocks (Stable Flow)": "0, 1, 17, 18, 25, 28, 53, 54, 56",
    "content blocks (FreeFlux)": "0, 7-10, 18, 25, 28, 37, 42, 45, 50, 56",
    "position blocks (FreeFlux)": "1, 2, 4, 26, 30, 54, 55",
    "all but 0-4 and final (modulation guidance)": "5-",
}


class Depth(NamedTuple):
    """How many double and single blocks a model has: which number each block has here, and which name in ComfyUI."""

    double: int
    single: int

    @classmethod
    def of(cls, flux: Any) -> Depth:
        """Of a transformer: comfy.ldm.flux.model.Flux, or what has its lists of blocks."""
        return cls(len(flux.double_blocks), len(flux.single_blocks))

    @property
    def blocks(self) -> int:
        return self.double + self.single

    def number(self, options: Mapping[str, Any]) -> int:
        """Of the block that calls, by the transformer_options that ComfyUI gives it."""
        return options[BLOCK_INDEX] + (self.double if options[BLOCK_TYPE] == "single" else 0)

    def key(self, block: int) -> tuple[str, int]:
        """A block's key in ComfyUI's patches_replace."""
        return ("double_block", block) if block < self.double else ("single_block", block - self.double)


def painted(stream: str = "", final: bool = False) -> dict:
    """For the `extra_dict` of an input with a list of blocks: the front end draws it as blocks to paint.

    `stream` is "clip" or "t5" where it is one stream's; `final` whether the last layer can be named.
    """
    return {"flux_duet_blocks": {"stream": stream, "final": final, "presets": PRESETS}}


@dataclass(frozen=True)
class Blocks:
    """A list such as `double, 25, 28-30, 50-, final`; `without` turns it into all the others."""

    words: tuple[str, ...] = ("all",)
    without: bool = False

    @classmethod
    def parse(cls, text: str) -> Blocks:
        """The name of a preset, or a list.

        Raises ValueError for a word that is none of those in `Blocks`, and for a range that ends before it begins.
        """
        text = PRESETS.get(_EDGES.sub("", text), text)
        words = tuple(word.lower() for word in _GAP.split(text) if word)
        text = shorten(text, 200)
        for word in words:
            found, said = _NUMBERS.fullmatch(word), shorten(word, 60)
            if found and len(max(found[1], found[2] or "", key=len)) > MOST_DIGITS:
                raise ValueError(
                    f"Got {said!r} in the list of blocks {text!r}, a number that no model has; expected numbers such "
                    f"as FLUX.1's 0 to {BLOCKS - 1}."
                )
            if word not in (*KINDS, FINAL, "all", "none") and not found:
                raise ValueError(
                    f"Got {said!r} in the list of blocks {text!r}, expected numbers ({NUMBERS}), "
                    "ranges like 5-18 or 40-, or the words double, single, final, all, none."
                )
            if found and found[2] and int(found[2]) < int(found[1]):
                raise ValueError(
                    f"Got {word!r} in the list of blocks {text!r}, a range that ends before it begins and names no "
                    f"block; expected {found[2]}-{found[1]}."
                )
        return cls(words)

    def others(self) -> Blocks:
        return Blocks(self.words, not self.without)

    @property
    def is_none(self) -> bool:
        """Whether no block of any model is meant."""
        return self._every if self.without else set(self.words) <= {"none"}

    @property
    def is_all(self) -> bool:
        """Whether every block of every model is meant, and the final layer."""
        return self.others().is_none

    @property
    def final(self) -> bool:
        """Whether the last layer's modulation is meant."""
        return bool({FINAL, "all"} & set(self.words)) != self.without

    @property
    def _every(self) -> bool:
        return "all" in self.words

    def within(self, double: int, single: int) -> frozenset[int]:
        """The numbers in a model of so many double and single blocks.

        Raises ValueError for a number that the model does not have.
        """
        depth = double + single
        ranges = [_named(word, double, depth) for word in dict.fromkeys(self.words)]
        last = max((each[-1] for each in ranges if each), default=-1)
        if last >= depth:
            said = shorten(", ".join(self.words), 200)
            raise ValueError(
                f"The list of blocks {said!r} names block {last}, but this model has blocks 0 to {depth - 1} ({double} "
                f"double, {single} single). Presets from the literature are for FLUX.1's {BLOCKS}."
            )
        named = frozenset().union(*ranges)
        return frozenset(range(depth)) - named if self.without else named


def _named(word: str, double: int, depth: int) -> range:
    if word in ("none", FINAL):
        return range(0)
    if word == "all":
        return range(depth)
    if word in KINDS:
        return range(double) if word == "double" else range(double, depth)
    first, last = _NUMBERS.fullmatch(word).groups()
    if last is None:
        return range(int(first), int(first) + 1)
    # 40- reaches to the model's end; a range that begins past it is named all the same, so that it is found.
    end = int(last) if last else max(depth - 1, int(first))
    return range(int(first), end + 1)


ALL = Blocks()
