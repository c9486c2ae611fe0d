"""Lists of FLUX.1's blocks: 0 to 18 are double, 19 to 56 single, `final` is the last layer's modulation. Pure.

A list is written before the model is known, so it is stored as words and resolved for a model's number of blocks.
js/blocks/list.mjs parses lists too; tests/blocks.json holds the cases for both.
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
# JavaScript's white space, which differs from Python's.
_SPACES = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_GAP, _EDGES = re.compile(f"[,{_SPACES}]+"), re.compile(f"^[{_SPACES}]+|[{_SPACES}]+$")
_NUMBERS = re.compile(r"([0-9]+)(?:-([0-9]*))?")
MOST_DIGITS = 4  # of a block's number; no model has more blocks

# Presets, with their source. They were found for the 57 blocks of FLUX.1-dev.
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
    """A model's numbers of double and single blocks; converts between our block numbers and ComfyUI's names."""

    double: int
    single: int

    @classmethod
    def of(cls, flux: Any) -> Depth:
        """The depth of a transformer with `double_blocks` and `single_blocks`, such as comfy.ldm.flux.model.Flux."""
        return cls(len(flux.double_blocks), len(flux.single_blocks))

    @property
    def blocks(self) -> int:
        return self.double + self.single

    def number(self, options: Mapping[str, Any]) -> int:
        """The number of the block that is running, from its transformer_options."""
        return options[BLOCK_INDEX] + (self.double if options[BLOCK_TYPE] == "single" else 0)

    def key(self, block: int) -> tuple[str, int]:
        """A block's key in ComfyUI's patches_replace."""
        return ("double_block", block) if block < self.double else ("single_block", block - self.double)


def painted(stream: str = "", final: bool = False) -> dict:
    """The `extra_dict` of an input with a list of blocks, which the front end shows as a strip of blocks to paint.

    `stream` is "clip" or "t5" for one stream's input, "" for both; `final` is whether the last layer can be chosen.
    """
    return {"flux_duet_blocks": {"stream": stream, "final": final, "presets": PRESETS}}


@dataclass(frozen=True)
class Blocks:
    """A list such as `double, 25, 28-30, 50-, final`; `without` inverts it."""

    words: tuple[str, ...] = ("all",)
    without: bool = False

    @classmethod
    def parse(cls, text: str) -> Blocks:
        """Parses a preset's name or a list.

        Raises ValueError for an unknown word, a number of more than MOST_DIGITS digits, and a range that ends before
        it begins.
        """
        text = PRESETS.get(_EDGES.sub("", text), text)
        words = tuple(word.lower() for word in _GAP.split(text) if word)
        text = shorten(text, 200)
        for word in words:
            found, shown = _NUMBERS.fullmatch(word), shorten(word, 60)
            if found and len(max(found[1], found[2] or "", key=len)) > MOST_DIGITS:
                raise ValueError(
                    f"Got {shown!r} in the list of blocks {text!r}, which is larger than any model's block number. "
                    f"FLUX.1 has the blocks 0 to {BLOCKS - 1}."
                )
            if word not in (*KINDS, FINAL, "all", "none") and not found:
                raise ValueError(
                    f"Got {shown!r} in the list of blocks {text!r}, expected numbers ({NUMBERS}), "
                    "ranges like 5-18 or 40-, or the words double, single, final, all, none."
                )
            if found and found[2] and int(found[2]) < int(found[1]):
                raise ValueError(
                    f"Got {word!r} in the list of blocks {text!r}, a range that ends before it begins and names no "
                    f"block; expected {found[2]}-{found[1]}."
                )
        return cls(words)

    def others(self) -> Blocks:
        """All blocks that are not in this list."""
        return Blocks(self.words, not self.without)

    @property
    def is_none(self) -> bool:
        """Whether the list contains no block, for any model."""
        return self._every if self.without else set(self.words) <= {"none"}

    @property
    def is_all(self) -> bool:
        """Whether the list contains every block and the final layer, for any model."""
        return self.others().is_none

    @property
    def final(self) -> bool:
        """Whether the list contains the last layer's modulation."""
        return bool({FINAL, "all"} & set(self.words)) != self.without

    @property
    def _every(self) -> bool:
        return "all" in self.words

    def within(self, double: int, single: int) -> frozenset[int]:
        """The numbers of the listed blocks in a model with `double` and `single` blocks.

        Raises ValueError for a block that the model does not have.
        """
        depth = double + single
        ranges = [_named(word, double, depth) for word in dict.fromkeys(self.words)]
        last = max((each[-1] for each in ranges if each), default=-1)
        if last >= depth:
            words = shorten(", ".join(self.words), 200)
            raise ValueError(
                f"The list of blocks {words!r} names block {last}, but this model has blocks 0 to {depth - 1} "
                f"({double} double, {single} single). Presets from the literature are for FLUX.1's {BLOCKS} blocks."
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
    # 40- ends at the model's last block. A range that begins after it still yields its first number, which then raises.
    end = int(last) if last else max(depth - 1, int(first))
    return range(int(first), end + 1)


ALL = Blocks()
