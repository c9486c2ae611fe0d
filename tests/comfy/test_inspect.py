"""Prompt Inspector: the counts equal the encoders', and no encoder runs."""

import json

import pytest
import torch

from flux_duet.nodes.encode.encoding import encode_t5, inspect
from flux_duet.nodes.encode.nodes import ClipEncode, Inspect
from flux_duet.nodes.encode.tokens.lengths import LENGTHS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

LONG = "a red circle to the left of a blue square, "
TEXTS = ["", "a (red:1.3) circle", LONG * 9, LONG * 45, "\U0001f98a (in brackets)"]


def native_pads(clip, text: str) -> int:
    """Pads of CLIP-L's first chunk: end tokens after the first."""
    ids = [token for token, _ in clip.tokenize(text)["l"][0]]
    return len(ids) - 1 - ids.index(49407)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("length", LENGTHS)
def test_counts_are_the_encoders(dual, singles, text, length):
    for_clip, for_t5 = inspect(dual, text, length)
    txt, cut = encode_t5(dual, text, length)
    rows = txt.spans[0].tensor.shape[1]
    assert for_t5.read + 1 + for_t5.pads == rows
    assert (for_t5.read < len(for_t5.pieces)) == (cut is not None)
    if cut:
        assert (cut.total, cut.kept) == (len(for_t5.pieces) + 1, for_t5.read + 1)
        assert for_t5.unread.split() == cut.text.split()
    assert for_clip.pads == native_pads(dual, text)
    assert for_clip.read <= 75 and for_clip.limit == 75
    shown = ClipEncode.execute(singles[0], text).ui
    assert (for_clip.unread != "") == (shown is not None and "CLIP-L reads" in shown["text"][0])


def test_each_loader_s_clip_shows_its_stream(dual, singles):
    assert [reading.encoder for reading in inspect(dual, "red")] == ["CLIP", "T5"]
    assert [[reading.encoder for reading in inspect(clip, "red")] for clip in singles] == [["CLIP"], ["T5"]]


def test_json_places_every_token(dual):
    text = "a (red:1.3) circle \U0001f98a"
    picture, summary, data = Inspect.execute(dual, text).result
    assert picture.ndim == 4 and picture.shape[3] == 3 and 0 <= picture.min() and picture.max() <= 1
    clip, t5 = json.loads(data)
    for stream in (clip, t5):
        words = [text[start:end] for start, end in zip(stream["starts"], stream["ends"], strict=True)]
        assert {"a", "red", "circle", "\U0001f98a"} == set(words)
        assert [weight for weight, word in zip(stream["weights"], words, strict=True) if word == "red"] == [1.3]
        assert stream["count"] == stream["read"] == len(stream["ids"])
    assert [words[place] for place in t5["unknown"]] == ["\U0001f98a"] and clip["unknown"] == []
    assert "CLIP: 5 / 75 tokens, 70 pads" in summary and "T5 has no token for: \U0001f98a" in summary


def test_cut_and_accidental_weights_are_reported(dual):
    _, summary, _ = Inspect.execute(dual, LONG * 9 + "(in brackets)", "official 256").result
    assert "CLIP does not read:" in summary and "(in brackets)" in summary and "1.1" in summary


def test_nothing_is_run(dual, monkeypatch):
    monkeypatch.setattr(dual.cond_stage_model, "encode_token_weights", None)
    monkeypatch.setattr(dual, "load_model", None)
    assert len(inspect(dual, "a red circle")) == 2


def test_picture_grows_with_the_prompt(dual):
    short, long = (Inspect.execute(dual, text)[0] for text in ("a red circle", LONG * 9))
    assert long.shape[1] > 2 * short.shape[1] and long.shape[2] == short.shape[2]
    assert not torch.equal(short[..., 0], short[..., 2])  # the streams' hues


def test_long_words_without_spaces_are_shown_where_a_note_is_cut(dual):
    """Like the tokens of Chinese and Japanese."""
    text, latin = "\u6771\u4eac\u5854" * 200, "xyzzy" * 400
    notes = {
        str(encode_t5(dual, latin, "official 256")[1]): "xyzzyxyzzy",
        ClipEncode.execute(dual, text).ui["text"][0]: "\u6771\u4eac\u5854",
        Inspect.execute(dual, text)[1]: "\u6771\u4eac\u5854",
        Inspect.execute(dual, latin)[1]: "xyzzyxyzzy",
    }
    for note, words in notes.items():
        assert words in note and "[...]" not in note and " ..." in note
