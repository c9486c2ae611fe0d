"""Prompt weights as text and as arithmetic; tests/comfy/test_weights.py holds both against ComfyUI and CLIP-L."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flux_duet.nodes.encode.text import weights

# What makes a parser stumble, and words around it.
TEXTS = st.text(st.sampled_from("ab (((()))):::.-15\\,e\0\U0001f98a"), max_size=24)


def told(text: str) -> list[tuple[str, float]]:
    return [(each.text, each.weight) for each in weights.parse(text).segments]


@pytest.mark.parametrize("text, expected", [
    ("a red circle", [("a red circle", 1.0)]),
    ("a (red:1.3) circle", [("a ", 1.0), ("red", 1.3), (" circle", 1.0)]),
    ("(a (red:1.5) circle:0.5)", [("a ", 0.5), ("red", 1.5), (" circle", 0.5)]),
    ("(loud) ((louder))", [("loud", 1.1), (" ", 1.0), ("louder", pytest.approx(1.21))]),
    ("(at night:0) (far:-1.5) (near:4)", [("at night", 0.0), (" ", 1.0), ("far", -1.5), (" ", 1.0), ("near", 4.0)]),
    (r"prose \(in brackets\)", [("prose (in brackets)", 1.0)]),
    ("(time: 12:30:1.2)", [("time: 12:30", 1.2)]),
    ("(a:b)", [("a:b", 1.1)]),
    ("never (closed", [("never ", 1.0), ("(closed", 1.0)]),
    ("()", []),
    ("", []),
])
def test_parse(text, expected):
    assert told(text) == expected


@given(TEXTS)
def test_segments_stand_where_they_say(text):
    prompt = weights.parse(text)
    places = [(each.start, each.end) for each in prompt.segments]
    assert places == sorted(places)
    assert all(end <= start for (_, end), (start, _) in zip(places, places[1:], strict=False))
    for each in prompt.segments:
        assert each.text == text[each.start:each.end].replace("\\)", ")").replace("\\(", "(")
    skipped = "".join(text[end:start] for (_, end), (start, _) in
                      zip([(0, 0), *places], [*places, (len(text), 0)], strict=True))
    assert set(skipped) <= set("():. -15e")  # parentheses and numbers, never words


@given(TEXTS)
def test_escaped_text_has_no_weights(text):
    prompt = weights.parse(weights.escape(text))
    assert "".join(each.text for each in prompt.segments) == text
    assert prompt.groups == ()


@given(TEXTS)
def test_plain_text_is_the_same_words_at_weight_one(text):
    prompt = weights.parse(text)
    again = weights.parse(prompt.plain())
    assert [each.text for each in again.segments] == [each.text for each in prompt.segments]
    assert all(each.weight == 1 for each in again.segments)


@given(TEXTS)
def test_a_group_and_the_rest_are_the_whole(text):
    prompt = weights.parse(text)
    whole = "".join(each.text for each in prompt.segments)
    for group in prompt.groups:
        rest = "".join(each.text for each in weights.parse(prompt.plain(without=group)).segments)
        assert sorted(rest + prompt.words(group)) == sorted(whole)


@given(TEXTS)
def test_groups_add_up_to_each_segment_s_weight(text):
    """A segment weighs 1 and what every pair of parentheses around it adds."""
    prompt = weights.parse(text)
    for segment in prompt.segments:
        around = [group for group in prompt.groups if group.start <= segment.start and segment.end <= group.end]
        assert 1 + sum(group.change for group in around) == pytest.approx(segment.weight, nan_ok=True)


# ---- arithmetic

def test_one_weight_walks_the_line():
    plain, without = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(weights.move(plain, [(without, -1.0)]), without)  # weight 0
    assert torch.equal(weights.move(plain, [(without, 0.0)]), plain)  # weight 1
    for weight in (-1.0, 0.5, 1.3, 2.5):
        moved = weights.move(plain, [(without, weight - 1)])
        assert torch.allclose(moved, without + weight * (plain - without), atol=1e-6)


def test_several_weights_add_up():
    plain, first, second = torch.randn(3, 1, 8, generator=torch.Generator().manual_seed(1))
    moved = weights.move(plain, [(first, 0.3), (second, -0.5)])
    assert torch.allclose(moved, plain + 0.3 * (plain - first) - 0.5 * (plain - second), atol=1e-6)


def test_notes_name_what_does_nothing_and_what_may_be_no_weight():
    prompt = weights.parse("(red:1.3) circle (in brackets)")
    idle, implied = weights.clip_notes(prompt, prompt.groups[:1])
    assert "'red'" in idle and "no effect" in idle
    assert "(in brackets)" in implied and r"\(" in implied
    assert weights.clip_notes(weights.parse(r"a (red:1.3) circle \(here\)"), []) == []
    below, implied = weights.t5_notes(weights.parse("(red:-1) (square)"), weights.ATTENTION)
    assert "'red'" in below and "(square)" in implied
    assert weights.t5_notes(weights.parse("(red:-1) (square)"), weights.OFF) == []
    assert weights.t5_notes(weights.parse("(red:-1) square"), weights.EMBEDDING) == []
