"""Matches a text's parentheses, with the results of parse_parentheses in comfy/sd1_clip.py, in linear time. Pure.

ComfyUI scans the content of parentheses once for each pair around it. Here all parentheses are matched in one pass and
numbered, so that nesting takes no extra time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

PARENTHESIS = re.compile("[()]")


class Range(NamedTuple):
    """Characters from `start` to `end`, and the numbers of the parentheses in it: `first` to `after`, exclusive."""

    start: int
    end: int
    first: int
    after: int


class Item(NamedTuple):
    """Text of one level, from `start` to `end`: plain (`held` is None), or a pair of parentheses around `held`."""

    start: int
    end: int
    held: Range | None = None


class Parentheses:
    """A text's parentheses, except those at the offsets `plain`, which are text. Takes linear time."""

    def __init__(self, text: str, plain: Collection[int] = ()):
        self.text = text
        self.places = [found.start() for found in PARENTHESIS.finditer(text)]
        self._close, live = self._matched(plain)
        self._live = live
        self._next = _next(live)

    @property
    def whole(self) -> Range:
        return Range(0, len(self.text), 0, len(self.places))

    def behind(self, held: Range) -> int:
        """The offset after the last parenthesis in or before `held`, from which on a number may be."""
        return self.places[held.after - 1] + 1

    def items(self, within: Range) -> Iterator[Item]:
        """The items of the outermost level. An unclosed parenthesis starts an item that goes on to the end."""
        start, number = within.start, self._next[within.first]
        while number < within.after:
            place, close = self.places[number], self._close[number]
            if place > start:
                yield Item(start, place)
            if close >= within.after:
                yield self._unclosed(number, within)
                return
            start = self.places[close] + 1
            yield Item(place, start, Range(place + 1, start - 1, number + 1, close))
            number = self._next[close + 1]
        if start < within.end:
            yield Item(start, within.end)

    def _unclosed(self, number: int, within: Range) -> Item:
        """As in ComfyUI, an unclosed item whose last character is ) is in parentheses, whichever pair that ) closes."""
        place, last = self.places[number], within.after - 1
        ends = last > number and self._live[last] and self.places[last] == within.end - 1
        if ends and self.text[within.end - 1] == ")":
            return Item(place, within.end, Range(place + 1, within.end - 1, number + 1, last))
        return Item(place, within.end)

    def _matched(self, plain: Collection[int]) -> tuple[list[int], list[bool]]:
        """(for each opening parenthesis the number of the one that closes it; which parentheses are live).

        The number is len(places) if none closes it. A closing parenthesis without an open one is not live, nor is the
        opening one after it that balances it.
        """
        never = len(self.places)
        close, live = [never] * never, [False] * never
        opened, below = [], 0
        for number, place in enumerate(self.places):
            if place in plain:
                continue
            if self.text[place] == "(":
                live[number] = not below
                if below:
                    below -= 1
                else:
                    opened.append(number)
            elif opened:
                live[number] = True
                close[opened.pop()] = number
            else:
                below += 1
        return close, live


def _next(live: Sequence[bool]) -> list[int]:
    """For each number, and for len(live), the first live number from it on; len(live) if there is none."""
    found = [len(live)] * (len(live) + 1)
    for number in range(len(live) - 1, -1, -1):
        found[number] = number if live[number] else found[number + 1]
    return found
