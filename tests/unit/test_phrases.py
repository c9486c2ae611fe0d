"""Words are found in a prompt without its weight syntax, escapes and kinds of white space."""

import unicodedata

import pytest

from flux_duet.nodes.probe.phrases import find, folded, words

E, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def matches(text, phrase, weighted=True):
    return [text[start:end] for start, end in find(text, phrase, weighted)]


@pytest.mark.parametrize(
    "text, phrase, expected",
    [
        ("a red circle", "red circle", ["red circle"]),
        ("a (red:1.3) circle", "red circle", ["red:1.3) circle"]),
        ("a ((red:1.3) circle:0.8) at", "red circle at", ["red:1.3) circle:0.8) at"]),
        ("a (red)  circle", "Red Circle", ["red)  circle"]),
        ("a red\n\tcircle", "red circle", ["red\n\tcircle"]),
        ("a red circle", "red \t circle", ["red circle"]),
        (r"a circle \(blue\) there", "circle (blue)", [r"circle \(blue\)"]),
        (r"a circle \(blue\) there", r"circle \(blue\) there", [r"circle \(blue\) there"]),
        (f"one {E} here", DECOMPOSED, [E]),
        (f"one {DECOMPOSED} here", E, [DECOMPOSED]),
        (f"one {DECOMPOSED} here", "cafe", []),
        ("a redder ring, a red ring", "red", ["red"]),
        ("hundred red", "red", ["red"]),
        ("(red)dish red", "red", ["red", "red"]),  # tokenized apart
        ("rock'n'roll isn\u2019t", "isn't", ["isn\u2019t"]),
        ("Stra\u00dfe, STRASSE", "strasse", ["Stra\u00dfe", "STRASSE"]),
        ("\uff32\uff25\uff24 ink", "red", ["\uff32\uff25\uff24"]),  # full-width letters
        (
            unicodedata.normalize("NFD", "\ud55c\uad6d x"),
            "\ud55c\uad6d",
            [unicodedata.normalize("NFD", "\ud55c\uad6d")],
        ),
        ("red red", "red", ["red", "red"]),
        ("", "red", []),
        ("red", " ", []),
        ("red", "", []),
    ],
)
def test_a_phrase_is_found_as_it_reads(text, phrase, expected):
    assert matches(text, phrase) == expected


def test_where_weights_are_off_parentheses_are_text():
    assert matches("a (red:1.3) circle", "red circle", weighted=False) == []
    assert matches("a (red:1.3) circle", "(red:1.3) circle", weighted=False) == ["(red:1.3) circle"]


def test_every_word_with_its_place():
    text = f"a (red:1.3) half-moon, {DECOMPOSED}s\n(blue)ish"
    assert [(word, text[start:end]) for word, (start, end) in words(text)] == [
        ("a", "a"),
        ("red", "red"),
        ("half-moon", "half-moon"),
        (f"{E}s", f"{DECOMPOSED}s"),
        ("blue", "blue"),
        ("ish", "ish"),
    ]


def test_folded_texts_are_one_for_one_word():
    assert folded("\u00c9 \n X") == folded("e\u0301 x") != folded("e x")
