"""Each token's place in the text: the tokens are ComfyUI's, and their places cover the words."""

import copy
import gc
import re
import unicodedata
import weakref

import pytest
import torch
from comfy.text_encoders.flux import FluxTokenizer
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors.torch import save_file

from flux_duet.nodes.encode.tokens import words
from flux_duet.nodes.encode.tokens.spans import pieces
from flux_duet.nodes.encode.tokens.weights import escape, parse
from flux_duet.nodes.encode.tokens.words import Words
from flux_duet.nodes.quoting import JOINERS

STREAMS = ("clip_l", "t5xxl")
SIGNS = [*"ab \u00e9,.\n", "e\u0301", "\U0001f98a", "\u6771", "\u4e00", "\ufb01", "\u00bd"]
WORDS = st.lists(st.sampled_from(SIGNS), max_size=20).map("".join)
PROMPTS = st.lists(
    st.one_of(
        WORDS, st.sampled_from(["(", ")", ":1.3)", r"\(", r"\)", " embedding:style", "embedding:nowhere, ", " "])
    ),
    max_size=9,
).map("".join)
SPACES = [" ", "  ", "\n", "\t", "\u3000", "\u00a0", "\u200b", "\u0301", "\u0600", "\r\n", "\u2028", "\x1c", "\x85"]
CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
ODD = ["word", "it's", "<pad>", "<|endoftext|>", "</s>", "<extra_id_0>", "\u2581"]
ANY = st.one_of(
    st.lists(st.one_of(st.text(CHARACTERS, max_size=5), st.sampled_from([*SPACES, *SIGNS, *ODD])), max_size=30).map(
        "".join
    ),
    st.text(st.characters(codec="ascii", exclude_characters="\0")),
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embeddings")
    save_file({"clip_l": torch.randn(2, 768), "t5xxl": torch.randn(3, 4096)}, folder / "style.safetensors")
    return FluxTokenizer(embedding_directory=str(folder))


def native(tokenizer, text: str) -> list[tuple]:
    """(id or None, weight, chunk) of all tokens that have text."""
    batches = tokenizer.tokenize_with_weights(text, return_word_ids=True)
    return [
        (token if isinstance(token, int) else None, weight, chunk)
        for chunk, batch in enumerate(batches)
        for token, weight, word in batch
        if word
    ]


def read(tokenizer, stream: str, text: str) -> list[str]:
    return [text[piece.start : piece.end] for piece in pieces(getattr(tokenizer, stream), text)]


@pytest.mark.parametrize("stream", STREAMS)
@given(text=PROMPTS)
def test_tokens_are_comfyuis(tokenizer, stream, text):
    found = pieces(getattr(tokenizer, stream), text)
    assert [(piece.id, piece.weight, piece.chunk) for piece in found] == native(getattr(tokenizer, stream), text)


@given(text=PROMPTS)
def test_chunks_are_comfyuis(tokenizer, text):
    """With chunks of ten tokens, so that short texts have many."""
    small = copy.copy(tokenizer.clip_l)
    small.max_length = 12
    assert [(piece.id, piece.weight, piece.chunk) for piece in pieces(small, text)] == native(small, text)


@pytest.mark.parametrize("stream", STREAMS)
@given(text=ANY)
def test_words_are_the_whole_text_s(tokenizer, stream, text):
    """No token reaches over a space that words are split at: ids and places are those of the text at once.

    But where T5's tokenizer drops a control character: from there on the whole text's places are too low.
    """
    one = getattr(tokenizer, stream)
    assume(one.embedding_identifier not in text)
    whole = one.tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    ((ids, starts, ends),) = Words(one).tokens([text], [0])
    assert ids == whole["input_ids"] == [token for token, *_ in native(one, escape(text))]
    if stream == "t5xxl" and any(unicodedata.category(sign) == "Cc" and sign not in "\t\n\r" for sign in text):
        return
    assert starts == [start for start, _ in whole["offset_mapping"]]
    assert all(ours >= end for ours, (_, end) in zip(ends, whole["offset_mapping"], strict=True))  # and signs after it


def test_words_are_remembered_within_limits(tokenizer, monkeypatch):
    monkeypatch.setattr(words, "MOST", 20)
    remembered, texts = Words(tokenizer.clip_l), ["some words to be remembered, and then other ones \u6771"]
    first = remembered.tokens(texts, [0])
    assert remembered.tokens(texts, [0]) == first
    remembered._tokenize = None
    with pytest.raises(TypeError):  # full: the next one began anew
        remembered.tokens(["more"], [0])
    assert len(remembered._kept) == 0


def test_what_is_remembered_goes_with_the_tokenizer(tokenizer):
    mine = copy.copy(tokenizer.clip_l)
    pieces(mine, "a red circle")
    gone = weakref.ref(words.words_of(mine))
    del mine
    gc.collect()
    assert gone() is None


def test_a_tokenizer_written_in_python_tells_words(tokenizer):
    """transformers 4 has such a one for CLIP: the tokens are its own, their places those of whole words."""
    mine = copy.copy(tokenizer.clip_l)
    mine.tokenizer = lambda text: tokenizer.clip_l.tokenizer(text)
    mine.tokenizer.unk_token_id = tokenizer.clip_l.tokenizer.unk_token_id
    text = "a painterly, red circle"
    found = pieces(mine, text)
    assert found.ids == pieces(tokenizer.clip_l, text).ids
    assert list(dict.fromkeys(text[piece.start : piece.end] for piece in found)) == text.split()


@pytest.mark.parametrize("stream", STREAMS)
@given(text=PROMPTS)
def test_places_tile_the_words(tokenizer, stream, text):
    """Ordered, without overlaps; text without a token is white space or weight syntax."""
    found = pieces(getattr(tokenizer, stream), text)
    places = [(piece.start, piece.end) for piece in found]
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert [start for start, _ in places] == sorted(start for start, _ in places)
    covered = {at for start, end in places for at in range(start, end)}
    segments = parse(text).segments
    visible = {at for segment in segments for at in range(segment.start, segment.end) if not text[at].isspace()}
    missing = {text[at] for at in visible - covered}
    ignored = {character for character in missing if unicodedata.combining(character) or character in JOINERS}
    named = "embedding:" in text
    assert missing <= ignored or named
    assert covered <= {at for segment in segments for at in range(segment.start, segment.end)}


@pytest.mark.parametrize(
    "stream, words",
    [
        ("clip_l", ["a", "red", "Circle", ",", "at", "night"]),
        ("t5xxl", ["a", "a", "red", "Circle", ",", "at", "night"]),
    ],
)
def test_plain_words(tokenizer, stream, words):
    assert read(tokenizer, stream, "a red  Circle,\nat (night:1.3)") == words


def test_weights_and_escapes(tokenizer):
    found = pieces(tokenizer.clip_l, r"(red:1.5) \(square\)")
    text = r"(red:1.5) \(square\)"
    assert [(text[piece.start : piece.end], piece.weight) for piece in found] == [
        ("red", 1.5),
        (r"\(", 1.0),
        ("square", 1.0),
        (r"\)", 1.0),
    ]


def test_characters_of_several_tokens(tokenizer):
    assert set(read(tokenizer, "clip_l", "\U0001f98a \u6771\u4eac")) == {"\U0001f98a", "\u6771", "\u4eac"}
    assert read(tokenizer, "clip_l", "e\u0301t")[0] == "e\u0301"
    assert any(piece.unknown for piece in pieces(tokenizer.t5xxl, "\U0001f98a"))
    assert not any(piece.unknown for piece in pieces(tokenizer.clip_l, "\U0001f98a and a red circle"))


@pytest.mark.parametrize("stream, rows", [("clip_l", 2), ("t5xxl", 3)])
def test_textual_inversions(tokenizer, stream, rows):
    text = "in embedding:style, (embedding:style at night:1.2) embedding:nowhere here"
    found = pieces(getattr(tokenizer, stream), text)
    inversions = [piece for piece in found if piece.id is None]
    assert [(text[piece.start : piece.end], piece.weight) for piece in inversions] == (
        [("embedding:style", 1.0)] * rows + [("embedding:style", 1.2)] * rows
    )
    texts = [text[piece.start : piece.end] for piece in found if piece.id is not None]
    assert [word for word in texts if re.match(r"\w", word)] == ["in", "at", "night", "here"]


def test_chunks_of_75(tokenizer):
    found = pieces(tokenizer.clip_l, "red " * 100)
    assert [sum(piece.chunk == chunk for piece in found) for chunk in (0, 1)] == [75, 25]
    assert {piece.chunk for piece in pieces(tokenizer.t5xxl, "red " * 600)} == {0}
