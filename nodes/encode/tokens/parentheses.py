"""Where parentheses open and close in a text, as parse_parentheses in comfy/sd1_clip.py has them, in one pass. Pure.

ComfyUI looks through what parentheses hold once for each pair around it. Here every parenthesis is matched once, and a
pair's own are found by their numbers, so that nesting costs no more than any other text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

PARENTHESIS = re.compile("[()]")


class Range(NamedTuple):
    """Characters from `start` to `end`, and which of the text's parentheses are among them: `first` to `after`."""

    start: int
    end: int
    first: int
    after: int


class Item(NamedTuple):
    """Text of one level, from `start` to `end`: plain (`held` is None), or in parentheses that hold `held`."""

    start: int
    end: int
    held: Range | None = None


class Parentheses:
    """A text's parentheses, but for those in the places `plain`, which are text. Takes time as the text is long."""

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
        """The place behind the last parenthesis before the end of what a pair holds; no number reaches over it."""
        return self.places[held.after - 1] + 1

    def items(self, within: Range) -> Iterator[Item]:
        """The items of the lowest level. What opens and never closes here is one item, to the end."""
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
        """An item that ends with a parenthesis is in parentheses to ComfyUI, whichever they close."""
        place, last = self.places[number], within.after - 1
        ends = last > number and self._live[last] and self.places[last] == within.end - 1
        if ends and self.text[within.end - 1] == ")":
            return Item(place, within.end, Range(place + 1, within.end - 1, number + 1, last))
        return Item(place, within.end)

    def _matched(self, plain: Collection[int]) -> tuple[list[int], list[bool]]:
        """For each that opens the number of the one that closes it (a number that is none, if nothing does); and which
        have a meaning at all. One that closes what is not open has none, nor has one that opens after it in its stead.
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
    """For each number, and the one after the last, the first from it on that is live."""
    found = [len(live)] * (len(live) + 1)
    for number in range(len(live) - 1, -1, -1):
        found[number] = number if live[number] else found[number + 1]
    return found
