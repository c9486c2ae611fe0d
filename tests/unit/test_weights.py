"""Prompt weights: parsing and arithmetic; tests/comfy/test_weights.py compares both with ComfyUI and CLIP-L."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flux_duet.nodes.encode.choices import ATTENTION, EMBEDDING, OFF
from flux_duet.nodes.encode.tokens import weights
from flux_duet.nodes.quoting import is_attached, shorten

# Characters that are difficult for a parser, and words around them.
TEXTS = st.lists(
    st.one_of(
        st.sampled_from("ab (((()))):::.-15\\,e\0\U0001f98a"),
        st.sampled_from([":nan)", ":inf)", ":9)", ":99)", ":1e9)"]),
    ),
    max_size=24,
).map("".join)
BOTH = pytest.mark.parametrize("strict", [False, True], ids=["T5", "CLIP"])


def weighted(text: str, strict: bool = False) -> list[tuple[str, float]]:
    return [(each.text, each.weight) for each in weights.parse(text, strict).segments]


@pytest.mark.parametrize(
    "text, expected",
    [
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
    ],
)
def test_parse(text, expected):
    assert weighted(text) == expected


@pytest.mark.parametrize("number", ["nan", " Nan", "-nan", "inf", "infinity", "-Infinity", "1e999", "1001", " 1920"])
def test_what_is_no_weight_is_text_on_both_streams(number):
    text = f"a (grandmother:{number}) asleep"
    for strict in (False, True):
        assert weighted(text, strict) == [(text, 1.0)]
        (note,) = weights.doubts(weights.parse(text, strict), "T5")
        assert "reads this as text" in note and f"(grandmother:{number.strip()})" in note.replace(": ", ":")
    nested = f"(a (red:1.5) dog:{number}) asleep"
    inside = [("(a ", 1.0), ("red", 1.5), (f" dog:{number}) asleep", 1.0)]
    assert weighted(nested) == inside, "what is in it keeps its weight"
    assert weighted(f"(a (dog:{number}):0.5)") == [(f"a (dog:{number})", 0.5)]


@pytest.mark.parametrize(
    "text",
    [
        "(12:30)",
        "(16:9)",
        "(1:1)",
        "(aspect ratio 2.39:1)",
        "(John 3:16)",
        "(at 12:30:45)",
        "(16 : 9)",
        "(age: 25)",
        "(x:-11)",
        "(x:1_0)",
        "(x:1e0)",
    ],
)
def test_what_may_be_no_weight_is_text_for_clip_and_a_told_weight_for_t5(text):
    assert weighted(f"a {text} b", strict=True) == [(f"a {text} b", 1.0)]
    (for_clip,) = weights.clip_notes(weights.parse(text, True), [])
    assert f"CLIP reads this as text, not as a weight: {text}" in for_clip
    assert len(weighted(f"a {text} b")) == 3, "T5 keeps ComfyUI's"
    (for_t5,) = weights.t5_notes(weights.parse(text), EMBEDDING)
    assert f"T5 reads this as a weight, as ComfyUI does: {text}" in for_t5


@pytest.mark.parametrize(
    "text, words, weight",
    [
        ("(red:1.3)", "red", 1.3),
        ("(time 12:30:1.2)", "time 12:30", 1.2),
        ("(12:1.5)", "12", 1.5),
        ("(x: .5 )", "x", 0.5),
        ("(x:2)", "x", 2),
        ("(x:-1)", "x", -1),
        ("(x:+10)", "x", 10),
        ("(16:9.)", "16", 9),
        ("(model 5:0.0)", "model 5", 0),
    ],
)
def test_what_is_a_weight_is_told_by_nobody(text, words, weight):
    for strict in (False, True):
        assert weighted(text, strict) == [(words, weight)]
        assert weights.doubts(weights.parse(text, strict), "CLIP") == []


def test_weights_by_parentheses_alone_end_somewhere():
    """1.1 to the power of the depth, at most 1000, as for numbers, so that every weight is finite."""
    deep = "(" * 200 + "red" + ")" * 200
    ((phrase, weight),) = weighted(deep)
    assert phrase == "(" * 128 + "red" + ")" * 128 and weight == pytest.approx(1.1**72) and 1.1**73 > 1000


@BOTH
@given(TEXTS)
def test_every_weight_is_finite(strict, text):
    assert all(abs(weight) <= 1000 for _, weight in weighted(text, strict))


@BOTH
@given(TEXTS)
def test_the_text_for_comfyui_says_the_same(strict, text):
    """Nothing but backslashes is added, and only where a weight was refused; then nothing is refused any more."""
    prompt = weights.parse(text, strict)
    again = weights.parse(prompt.native, strict)
    assert [(each.text, each.weight) for each in again.segments] == weighted(text, strict)
    assert (prompt.native == text) == (again.source == text) == (not prompt.refused)
    assert again.refused == () and len(prompt.native) == len(text) + 2 * len(prompt.refused)


@BOTH
@given(TEXTS)
def test_segments_stand_where_they_say(strict, text):
    prompt = weights.parse(text, strict)
    places = [(each.start, each.end) for each in prompt.segments]
    assert places == sorted(places)
    assert all(end <= start for (_, end), (start, _) in zip(places, places[1:], strict=False))
    for each in prompt.segments:
        assert each.text == text[each.start : each.end].replace("\\)", ")").replace("\\(", "(")
    skipped = "".join(
        text[end:start] for (_, end), (start, _) in zip([(0, 0), *places], [*places, (len(text), 0)], strict=True)
    )
    assert set(skipped) <= set("():. -159e")  # parentheses and numbers, never words


@given(TEXTS)
def test_escaped_text_has_no_weights(text):
    prompt = weights.parse(weights.escape(text))
    assert "".join(each.text for each in prompt.segments) == text
    assert prompt.groups == ()


@BOTH
@given(TEXTS)
def test_plain_text_is_the_same_words_at_weight_one(strict, text):
    prompt = weights.parse(text, strict)
    again = weights.parse(prompt.plain(), strict)
    assert [each.text for each in again.segments] == [each.text for each in prompt.segments]
    assert all(each.weight == 1 for each in again.segments)


@BOTH
@given(TEXTS)
def test_a_group_and_the_rest_are_the_whole(strict, text):
    prompt = weights.parse(text, strict)
    whole = "".join(each.text for each in prompt.segments)
    for group in prompt.groups:
        rest = "".join(each.text for each in weights.parse(prompt.plain(without=group), strict).segments)
        assert sorted(rest + prompt.words(group)) == sorted(whole)


@BOTH
@given(TEXTS)
def test_groups_add_up_to_each_segment_s_weight(strict, text):
    """A segment weighs 1 and what every pair of parentheses around it adds."""
    prompt = weights.parse(text, strict)
    for segment in prompt.segments:
        around = [group for group in prompt.groups if group.start <= segment.start and segment.end <= group.end]
        assert 1 + sum(group.change for group in around) == pytest.approx(segment.weight)


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
    below, implied = weights.t5_notes(weights.parse("(red:-1) (square)"), ATTENTION)
    assert "'red'" in below and "(square)" in implied
    assert weights.t5_notes(weights.parse("(red:-1) (square)"), OFF) == []
    assert weights.t5_notes(weights.parse("(red:-1) square"), EMBEDDING) == []


def test_parentheses_in_parentheses_are_told_once():
    (message,) = weights.implied(weights.parse("((red)) and ((red)), (a (dark) night), ((blue) sky:1.2)"))
    assert message.startswith(
        "These words have weight 1.1, as in ComfyUI: ((red)), (a (dark) night), (blue). For plain"
    )


def test_long_words_without_spaces_are_cut_at_characters():
    text = "(" + "\u6771\u4eac" * 300 + ")"
    (message,) = weights.implied(weights.parse(text))
    assert "\u6771\u4eac" * 15 in message and "[...]" not in message and len(message) < 150
    assert shorten("\u6771" * 100, 20) == "\u6771" * 16 + " ..."
    assert shorten("a red  circle\n", 20) == "a red circle" and shorten("\u6771" * 20, 20) == "\u6771" * 20


@given(st.text(st.sampled_from("ab \n\u6771e\u0301\U0001f468\u200d\U0001f9b0\ufe0f"), max_size=60), st.integers(8, 40))
def test_no_sign_is_cut_in_two(text, most):
    message, line = shorten(text, most), " ".join(text.split())
    assert len(message) <= most and (message == line or message.endswith(" ..."))
    if message != line:
        kept = message.removesuffix(" ...")
        after = line[len(kept) :]
        assert line.startswith(kept) and (kept == "" or not is_attached(after[0]))
