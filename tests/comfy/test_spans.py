"""Each token's place in the text: the tokens are ComfyUI's, and their places tile the words."""

import re
import unicodedata

import pytest
import torch
from comfy.text_encoders.flux import FluxTokenizer
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from flux_duet.nodes.encode.text.spans import TOGETHER, pieces
from flux_duet.nodes.encode.text.weights import parse

ROADS = ("clip_l", "t5xxl")
SIGNS = [*"ab \u00e9,.\n", "e\u0301", "\U0001f98a", "\u6771", "\u4e00", "\ufb01", "\u00bd"]
WORDS = st.lists(st.sampled_from(SIGNS), max_size=20).map("".join)
PROMPTS = st.lists(st.one_of(WORDS, st.sampled_from(
    ["(", ")", ":1.3)", r"\(", r"\)", " embedding:style", "embedding:nowhere, ", " "])), max_size=9).map("".join)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embeddings")
    save_file({"clip_l": torch.randn(2, 768), "t5xxl": torch.randn(3, 4096)}, folder / "style.safetensors")
    return FluxTokenizer(embedding_directory=str(folder))


def native(tokenizer, text: str) -> list[tuple]:
    """(id or None, weight) of all tokens that stand for text."""
    batches = tokenizer.tokenize_with_weights(text, return_word_ids=True)
    return [(token if isinstance(token, int) else None, weight)
            for batch in batches for token, weight, word in batch if word]


def read(tokenizer, road: str, text: str) -> list[str]:
    return [text[piece.start:piece.end] for piece in pieces(getattr(tokenizer, road), text)]


@pytest.mark.parametrize("road", ROADS)
@given(text=PROMPTS)
def test_tokens_are_comfyuis(tokenizer, road, text):
    found = pieces(getattr(tokenizer, road), text)
    assert [(piece.id, piece.weight) for piece in found] == native(getattr(tokenizer, road), text)


@pytest.mark.parametrize("road", ROADS)
@given(text=PROMPTS)
def test_places_tile_the_words(tokenizer, road, text):
    """In order, never crossing, and what no token stands for is white space or belongs to weights."""
    found = pieces(getattr(tokenizer, road), text)
    places = [(piece.start, piece.end) for piece in found]
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert [start for start, _ in places] == sorted(start for start, _ in places)
    covered = {at for start, end in places for at in range(start, end)}
    segments = parse(text).segments
    words = {at for segment in segments for at in range(segment.start, segment.end) if not text[at].isspace()}
    missing = {text[at] for at in words - covered}
    ignored = {character for character in missing if unicodedata.combining(character) or character in TOGETHER}
    named = "embedding:" in text
    assert missing <= ignored or named
    assert covered <= {at for segment in segments for at in range(segment.start, segment.end)}


@pytest.mark.parametrize("road, words", [
    ("clip_l", ["a", "red", "Circle", ",", "at", "night"]), ("t5xxl", ["a", "a", "red", "Circle", ",", "at", "night"])])
def test_plain_words(tokenizer, road, words):
    assert read(tokenizer, road, "a red  Circle,\nat (night:1.3)") == words


def test_weights_and_escapes(tokenizer):
    found = pieces(tokenizer.clip_l, r"(red:1.5) \(square\)")
    text = r"(red:1.5) \(square\)"
    assert [(text[piece.start:piece.end], piece.weight) for piece in found] == [
        ("red", 1.5), (r"\(", 1.0), ("square", 1.0), (r"\)", 1.0)]


def test_characters_of_several_tokens(tokenizer):
    assert set(read(tokenizer, "clip_l", "\U0001f98a \u6771\u4eac")) == {"\U0001f98a", "\u6771", "\u4eac"}
    assert read(tokenizer, "clip_l", "e\u0301t")[0] == "e\u0301"
    assert any(piece.unknown for piece in pieces(tokenizer.t5xxl, "\U0001f98a"))
    assert not any(piece.unknown for piece in pieces(tokenizer.clip_l, "\U0001f98a and a red circle"))


@pytest.mark.parametrize("road, rows", [("clip_l", 2), ("t5xxl", 3)])
def test_textual_inversions(tokenizer, road, rows):
    text = "in embedding:style, (embedding:style at night:1.2) embedding:nowhere here"
    found = pieces(getattr(tokenizer, road), text)
    inversions = [piece for piece in found if piece.id is None]
    assert [(text[piece.start:piece.end], piece.weight) for piece in inversions] == (
        [("embedding:style", 1.0)] * rows + [("embedding:style", 1.2)] * rows)
    said = [text[piece.start:piece.end] for piece in found if piece.id is not None]
    assert [word for word in said if re.match(r"\w", word)] == ["in", "at", "night", "here"]


def test_chunks_of_75(tokenizer):
    found = pieces(tokenizer.clip_l, "red " * 100)
    assert [sum(piece.chunk == chunk for piece in found) for chunk in (0, 1)] == [75, 25]
    assert {piece.chunk for piece in pieces(tokenizer.t5xxl, "red " * 600)} == {0}
