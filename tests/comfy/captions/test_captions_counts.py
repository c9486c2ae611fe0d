"""Caption Check counts ComfyUI's own tokens, and cuts where a trainer does."""

import pytest
from hypothesis import given, settings

from flux_duet.nodes.captions import triggers
from flux_duet.nodes.captions.checking import check
from flux_duet.nodes.captions.measure import Tokenizers, measured, written
from flux_duet.nodes.captions.read import Caption, gathered
from flux_duet.nodes.captions.summary import notes
from flux_duet.nodes.compat.text_encoders import clip_l_tokenizer, t5_tokenizer
from flux_duet.tests.comfy.test_spans import ANY

CLIP_L, T5 = clip_l_tokenizer(), t5_tokenizer()
BARE = 3  # T5's sign for a word's beginning, as a token by itself
LONG = "a watercolour of ohwx man by the sea, " * 12
ODD = [
    "a (red:1.2) circle", "embedding:style, a cat", "{masterpiece} ~ \\ < >",
    "\u6771\u4eac\u5854" * 40, "\U0001f98a" * 90, "e\u0301" * 80, "\ufeffa", "\u00bd \ufb01 \u2126",
    "a\nb\r\nc\t d", "xyzzy" * 200, "it's don't we'll", "A  B   C", "<|endoftext|> </s> <pad>",
    "1234567890 " * 30, ",,,,----____", LONG,
]  # fmt: skip


def reading(text: str, t5_length: int = 512):
    (one,) = measured([Caption("a", "a", text)], Tokenizers(CLIP_L, T5, t5_length), lambda: None)
    return one


def trained(text: str, t5_length: int) -> tuple[int, int]:
    """The numbers of tokens as sd-scripts counts them, without start and end tokens."""
    return len(CLIP_L.tokenizer(text)["input_ids"]) - 2, len(T5.tokenizer(text)["input_ids"]) - 1


@pytest.mark.parametrize("text", ODD)
def test_counts_are_comfyui_s(text):
    one = reading(text)
    assert (one.clip.tokens, one.t5.tokens) == trained(text, 512)


@settings(max_examples=200, deadline=None)
@given(text=ANY)
def test_counts_are_comfyui_s_for_any_text(text):
    text = text.strip()
    if text:
        one = reading(text)
        assert (one.clip.tokens, one.t5.tokens) == trained(text, 512)


@pytest.mark.parametrize("length", [77, 128, 512])
@pytest.mark.parametrize("text", [LONG, "xyzzy " * 300, "\u6771\u4eac\u5854 " * 200])
def test_what_is_read_is_what_truncation_keeps(text, length):
    """The text up to the cut gives the tokens that a trainer's truncation=True keeps.

    The last of these may be T5's sign for the beginning of the word at the cut.
    """
    text = text.strip()
    one = reading(text, length)
    for encoder, count, tokenizer, kept in (
        ("CLIP", one.clip, CLIP_L.tokenizer, slice(1, 76)),
        ("T5", one.t5, T5.tokenizer, slice(0, length - 1)),
    ):
        ids = tokenizer(text)["input_ids"]
        assert count.lost == max(0, len(ids) - (2 if encoder == "CLIP" else 1) - count.limit)
        if count.lost and not count.split:
            again = tokenizer(text[: count.cut])["input_ids"][:-1]
            assert [*again, BARE][kept] == ids[kept] or again[kept] == ids[kept]


def test_a_cut_within_a_word_is_told():
    one = reading("a " * 74 + "ohwxman and more")
    assert one.clip.split == ("oh", "wxman") and one.unread(one.clip) == "wxman and more"
    assert reading("a " * 75 + "b").clip.split is None
    assert reading("a " * 75).clip.cut is None


def test_the_limits_are_75_and_the_length_without_its_end_token():
    fits, longer = reading("red " * 75, 256), reading("red " * 300, 256)
    assert (fits.clip.lost, fits.t5.lost) == (0, 0)
    assert (longer.clip.lost, longer.t5.lost) == (225, 300 - 255)


def test_a_trigger_s_tokens():
    assert written(CLIP_L, "ohwx") == ("ohwx",)
    assert written(T5, "ohwx") == ("_", "o", "h", "w", "x")
    assert written(T5, "a red fox") == ("_", "a", "red", "_", "fox")


def test_unknown_to_t5():
    assert reading("{a} \u6771\u4eac ~ {b}").t5.unknown == ("{", "}", "\u6771\u4eac", "~")
    assert reading("{a} \u6771\u4eac ~").clip.unknown == ()


def checked(text: str, trigger: str, t5_length: int = 512):
    return check(gathered(None, text), "here", trigger, Tokenizers(CLIP_L, T5, t5_length))


def test_triggers_are_found_as_words_in_whatever_letters():
    text = "ohwx man\nOhwx, a man\nohwxman\nthe man\na man, " + "very " * 80 + "ohwx"
    (one,) = checked(text, "ohwx").triggers
    assert one.found == 3 and one.missing == ("line 3", "line 4")
    assert one.other_letters == ("line 2",)
    assert (one.past_clip, one.past_t5) == (("line 5",), ())
    assert one.beside == (("man", 1.0),)


@pytest.mark.parametrize(
    ("trigger", "text", "found"),
    [
        ("<s1>", "a<s1>b", True),
        ("ohwx man", "OHWX\tman.", True),
        ("ohwx man", "ohwxman", False),
        ("c++", "c++ code", True),
        ("\u6771\u4eac", "\u79c1\u6771\u4eac\u5854", True),
        ("a.c", "abc", False),
    ],
)
def test_odd_triggers(trigger, text, found):
    (one,) = checked(text, trigger).triggers
    assert bool(one.found) == found


def test_words_beside_a_trigger_are_those_of_half_the_captions():
    text = "a photo of ohwx man\na photo of ohwx woman\nohwx man in the sea\nohwx, man, photo\nno one"
    (one,) = checked(text, "ohwx").triggers
    assert one.beside == (("man", 0.75), ("photo", 0.75))
    assert triggers.listed(" a, b\nc,,a ") == ["a", "b", "c"]


def test_a_trigger_without_a_token_is_told():
    (one,) = checked("a {fox}", "{fox}").triggers
    assert one.unknown == ("{", "}") and one.found == 1
    assert any("T5 has no token for {, } in the trigger" in note for note in notes(checked("a {fox}", "{fox}")))


def test_copies_are_of_different_pictures(tmp_path):
    from flux_duet.nodes.captions.folder import listed

    for name in "abc":
        (tmp_path / f"{name}.txt").write_text("a  cat" if name == "b" else "a cat" if name == "a" else "a dog")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,a cat\nc.png,another dog\n")
    done = check(gathered(listed(tmp_path)), "here", "", Tokenizers(CLIP_L, T5, 512))
    assert done.same == [("a.txt", "b.txt")]
    assert done.differing == ["c"]
