"""Every parser takes linear time: twice the text, twice the work, whatever its content.

Work is counted in lines of Python that run, which is the same on any machine; where it is done in C, by time, between
sizes so far apart that a square would be sixteen times over.
"""

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_duet.nodes.condition.time import timeline
from flux_duet.nodes.condition.timepoints import Point
from flux_duet.nodes.encode.tokens import weight_number, weights
from flux_duet.nodes.encode.tokens.inspection import PromptReading
from flux_duet.nodes.encode.tokens.spans import Pieces
from flux_duet.nodes.encode.tokens.words import _with_attached
from flux_duet.nodes.probe import phrases
from flux_duet.nodes.probe.grid.prompts import listed
from flux_duet.nodes.quoting import quoted, shorten

SIZE = 800
LEVELS = 400  # depth of parentheses, near the limit
ACUTE, DOT, JOINER, VARIANT = "\u0301", "\u0323", "\u200d", "\ufe0f"


def lines_run(function, *given) -> int:
    """The number of executed lines of Python, each iteration of a loop counted."""
    count = 0

    def counted(frame, event, _):
        nonlocal count
        count += event == "line"
        return counted

    before = sys.gettrace()
    sys.settrace(counted)
    try:
        function(*given)
    finally:
        sys.settrace(before)
    return count


def parse(text: str) -> None:
    for strict in (False, True):
        prompt = weights._parse(text, strict)
        assert prompt.native
        weights.doubts(prompt, "T5"), weights.implied(prompt)


WEIGHTED = {
    "pairs beside pairs": lambda n: "(a)" * n,
    "empty pairs": lambda n: "()" * n,
    "numbers": lambda n: "(a:1.5)" * n,
    "numbers that are none": lambda n: "(a:nan)" * n,
    "ratios": lambda n: "(16:9)" * n,
    "what never closes": lambda n: "(" * n + "a",
    "what was never open": lambda n: "a" + ")" * n,
    "closed, then open": lambda n: ")(" * n,
    "much in deep parentheses": lambda n: "(" * LEVELS + "(a)" * n + ")" * LEVELS,
    "much in deep parentheses with numbers": lambda n: "(" * LEVELS + "(a)" * n + ":1)" * LEVELS,
    "much in parentheses that close too seldom": lambda n: "(" * LEVELS + "(a)" * n + ")" * (LEVELS - 1),
    "colons": lambda n: "(" * LEVELS + ":" * n + ")" * LEVELS,
    "escapes": lambda n: "(" * LEVELS + r"\(" * n + ")" * LEVELS,
}


@pytest.mark.parametrize("make", WEIGHTED.values(), ids=WEIGHTED)
def test_weights(make):
    work = [lines_run(parse, make(size)) for size in (SIZE, 2 * SIZE)]
    assert work[1] < 2.2 * work[0]


def test_a_level_of_parentheses_costs_no_look_at_all_it_holds():
    """A text that is not too deep and takes 49,000 times as long with ComfyUI's method."""
    flat, deep = "(a)" * SIZE, "(" * LEVELS + "(a)" * SIZE + ":1)" * LEVELS
    assert lines_run(parse, deep) < 3 * lines_run(parse, flat)


def test_too_deep_parentheses_are_told_whatever_is_around_them():
    deep = weights.DEEPEST
    text = "(" * deep + "a" + ")" * deep
    assert weights.parse(text).groups and weights.parse("(" * 50_000 + "a").groups == ()
    for more in (f"({text})", "(" * 49_999 + "a" + ")" * 49_999, f"x (b) ({text})"):
        with pytest.raises(ValueError, match=r"more than 500 nested parentheses.*too deep"):
            weights.parse(more)


def test_words_of_groups():
    nested = "(" * LEVELS + "(a:-1)" * SIZE + ":-1)" * LEVELS
    prompt = weights.parse(nested)
    flat = lines_run(lambda: [prompt.words(group) for group in prompt.groups[LEVELS:]])
    assert lines_run(lambda: [prompt.words(group) for group in prompt.groups[:1]]) < 3 * flat
    assert all(prompt.words(group) == "a" for group in prompt.groups[LEVELS:])
    assert prompt.words(prompt.groups[0]) == "a" * SIZE


SIGNS = {"accents": ACUTE, "joiners": JOINER, "variation selectors": VARIANT, "accents in turns": ACUTE + DOT}


@pytest.mark.parametrize("signs", SIGNS.values(), ids=SIGNS)
def test_runs_of_signs(signs):
    def work(size: int) -> int:
        text = "a" + signs * (size // len(signs)) + "b"
        ends = range(1, len(text) + 1)
        assert _with_attached(text, ends) == [len(text) - 1] * (len(text) - 1) + [len(text)]
        return lines_run(_with_attached, text, ends)

    assert work(2 * SIZE) < 2.2 * work(SIZE)
    text = "a" + signs * SIZE
    assert lines_run(phrases.signs, text * 2) < 2.2 * lines_run(phrases.signs, text)


def test_what_has_no_token_is_told_in_a_few_words():
    """Each of many accents on one sign is a token without a name, whose text goes on to the last of them."""
    text = "a" + ACUTE * 100_000
    count = len(text) - 1
    places, ends = list(range(1, count + 1)), [len(text)] * count
    pieces = Pieces([2] * count, places, ends, [1.0] * count, [0] * count, [True] * count)
    unknown = PromptReading("T5", text, pieces, count, None, 0).unknown
    assert unknown[0] == ACUTE * 301 and sum(map(len, unknown)) < 50_000


def slower(function, small, large) -> float:
    """How many times as long `large` takes, at the best of three."""

    def best(given) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            function(given)
            times.append(time.process_time() - start)
        return min(times)

    return best(large) / max(best(small), 1e-5)


IN_C = {
    "a list of prompts": (listed, lambda n: "\n".join(map(str, range(n))), 1000),
    "a prompt of many lines": (listed, lambda n: "---\n" + "a\n" * n, 5000),
    "many rules": (listed, lambda n: "---\n" * n, 2000),
    "a long number": (lambda text: weight_number.judged(10.0, "a", text), lambda n: "0" * n + "1e1", 1500),
    "spaces behind a time": (
        lambda text: pytest.raises(ValueError, Point.parse, text),
        lambda n: "8" + " " * n + "x",
        1500,
    ),
    "accents in turns": (phrases.folded, lambda n: "a" + (ACUTE + DOT) * n, 1000),
    "a text to shorten": (lambda text: [shorten(text[at:], 40) for at in range(100)], lambda n: "ab " * n, 2000),
    "texts to quote": (quoted, lambda n: [f"({at})" for at in range(n)], 1000),
}


@pytest.mark.parametrize("function, make, size", IN_C.values(), ids=IN_C)
def test_what_is_done_in_c(function, make, size):
    assert slower(function, make(size), make(16 * size)) < 100  # a square would be 256


def test_a_timeline():
    def text(size: int) -> str:
        return "a" + "".join(f"\n@{at}..{at + 1} b" for at in range(1, size))

    def work(size: int) -> int:
        return lines_run(timeline.parse, text(size))

    assert work(2 * SIZE) < 2.2 * work(SIZE)
    assert len(timeline.parse(text(SIZE))) == SIZE


def test_two_prompts_that_start_at_once_are_told_as_before():
    assert len(timeline.parse("a\n@2..4 b\n@4 c")) == 3
    for text in ("a\n@4 b\n@4 c", "a\n@4 b\n@4..8 c"):
        with pytest.raises(ValueError, match="Got 4 after 4 in a timeline"):
            timeline.parse(text)


@given(
    st.text(
        st.sampled_from("ae" + ACUTE + DOT + JOINER + "\u0344\u0345\u0f71\u0f72\u1112\u1161\u11ab\ufb01\u0130"),
        min_size=60,
        max_size=120,
    )
)
def test_ordered_accents_are_the_same_text(text):
    ordered = phrases._ordered(text)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert unicodedata.normalize(form, ordered) == unicodedata.normalize(form, text)


@given(st.text(st.sampled_from("ab \n\t\x1c\u3000" + ACUTE), max_size=300), st.integers(5, 60))
def test_the_beginning_is_enough_to_shorten(text, most):
    whole = " ".join(text.split())
    short = shorten(text, most)
    assert short == whole if len(whole) <= most else whole.startswith(short.removesuffix(" ..."))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a\nb\n\na", ["a", "b"]),
        ('""\na', ["", "a"]),
        ("---\na\n b\n\n---\n---\nc\n---", ["a\nb", "c"]),
        ('a\n---\n""', ["a", ""]),
        ("", []),
        ("---", []),
    ],
)
def test_lists_of_prompts_are_as_before(text, expected):
    assert listed(text) == expected
