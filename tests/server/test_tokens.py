"""POST /flux_duet/tokens returns Prompt Inspector's result while a prompt is typed, and refuses other requests."""

import json

import pytest

from flux_duet.tests.server import asking

URL = "/flux_duet/tokens"
JSON = "application/json"
TEXT = "a (red:1.5) circle, \U0001f98a \u6771\u4eac (at night) \\(plain\\), " + "and so on " * 30


def ask(server, body, kind=JSON) -> tuple[int, dict]:
    return asking.ask(server, URL, body, kind)


def utf16(text: str, at: int) -> int:
    return len(text[:at].encode("utf-16-le")) // 2


def test_it_is_the_inspector_s_answer_in_utf16(nano_server):
    graph = {}
    loaders = {
        "FluxDuetLoadClip": {"clip_name": "nano_clip_l.safetensors"},
        "FluxDuetLoadT5": {"t5_name": "nano_t5xxl.safetensors"},
    }
    for stream, (loader, file) in zip("12", loaders.items(), strict=True):
        inputs = {"clip": [stream, 0], "text": TEXT, "length": "official 256"}
        graph |= {
            stream: {"class_type": loader, "inputs": file},
            f"{stream}1": {"class_type": "FluxDuetInspect", "inputs": inputs},
            f"{stream}2": {"class_type": "PreviewAny", "inputs": {"source": [f"{stream}1", 2]}},
        }
    result = nano_server.run(graph)
    theirs = [json.loads(result.outputs[node]["text"][0])[0] for node in ("12", "22")]
    status, ours = ask(nano_server, {"text": TEXT, "length": "official 256"})
    assert status == 200
    for stream in theirs:
        for place in ("starts", "ends"):
            stream[place] = [utf16(TEXT, at) for at in stream[place]]
    assert ours["readings"] == theirs
    assert any("(at night)" in note for note in ours["notes"])
    assert any(note.startswith("CLIP does not read") for note in ours["notes"])


def test_weights_may_be_text_on_either_stream(nano_server):
    text = r"a (red:1.5) \(plain\)"
    clip, t5 = ask(nano_server, {"text": text, "clip_weights": False, "t5_weights": "off"})[1]["readings"]
    for stream in (clip, t5):
        assert set(stream["weights"]) == {1.0}
        pieces = [text[start:end] for start, end in zip(stream["starts"], stream["ends"], strict=True)]
        assert "1" in "".join(pieces) and "(" in pieces[1] + pieces[2] and "\\" in "".join(pieces)
    clip, t5 = ask(nano_server, {"text": text, "t5_weights": "off"})[1]["readings"]
    assert 1.5 in clip["weights"] and 1.5 not in t5["weights"]


def test_one_stream_may_be_asked_alone(nano_server):
    both = ask(nano_server, {"text": TEXT})[1]["readings"]
    for stream, reading in zip(("CLIP", "T5"), both, strict=True):
        alone = ask(nano_server, {"text": TEXT, "roads": stream})[1]
        assert alone["readings"] == [reading]
        assert alone["notes"][: len(reading["notes"])] == reading["notes"]


def test_long_clip_reads_further(nano_server):
    short, long = (ask(nano_server, {"text": "word " * 100, "clip_positions": n})[1]["readings"][0] for n in (77, 248))
    assert (short["read"], long["read"], short["limit"], long["limit"]) == (75, 100, 75, 246)


REFUSED = {
    "another type": (b"text=a", "text/plain", 415, "expected the content type application/json"),
    "no JSON": (b"{", JSON, 400, "got invalid JSON"),
    "no UTF-8": (b'{"text": "\xff"}', JSON, 400, "got invalid JSON"),
    "depth": (b"[" * 100_000, JSON, 400, "got invalid JSON"),
    "a list": ([], JSON, 400, "whose `text` is a string"),
    "no text": ({}, JSON, 400, "whose `text` is a string"),
    "a number for a text": ({"text": 1}, JSON, 400, "whose `text` is a string"),
    "an unknown field": ({"text": "a", "model": "/etc/passwd"}, JSON, 400, "unknown field 'model'"),
    "an unknown length": ({"text": "a", "length": "longest"}, JSON, 400, '"longest" for `length`'),
    "a number for a switch": ({"text": "a", "clip_weights": 1}, JSON, 400, "1 for `clip_weights`"),
    "an unknown stream": ({"text": "a", "roads": "VAE"}, JSON, 400, '"VAE" for `roads`'),
    "a list for a choice": ({"text": "a", "t5_weights": ["off"]}, JSON, 400, "for `t5_weights`"),
    "NaN": (b'{"text": "a", "clip_positions": NaN}', JSON, 400, "NaN for `clip_positions`"),
    "half a character": (b'{"text": "\\ud83e"}', JSON, 400, "half a character"),
    "endless parentheses": ({"text": "(" * 5_000 + "a" + ")" * 5_000}, JSON, 400, "too deep"),
    "a long text": ({"text": "a" * 40_001}, JSON, 413, "40,001 characters, expected at most 40,000"),
    "a long body": (b" " * (2**19 + 1), JSON, 413, "more than 524,288 bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_request_is_told_what_to_change(nano_server, case):
    body, kind, status, words = REFUSED[case]
    got, answer = ask(nano_server, body, kind)
    assert (got, list(answer)) == (status, ["error"])
    assert words in answer["error"] and len(answer["error"]) < 300


def test_numbers_that_are_no_weights_are_text_and_reported(nano_server):
    text = "(a:nan) (b:inf) (16:9) (c:1.5)"
    answer = ask(nano_server, {"text": text})[1]
    clip, t5 = answer["readings"]
    notes = [
        [text[start:end] for start, end in zip(stream["starts"], stream["ends"], strict=True)] for stream in (clip, t5)
    ]
    assert set(clip["weights"]) == {1.0, 1.5} and set(t5["weights"]) == {1.0, 9.0, 1.5}
    assert "nan" in notes[0] and "9" in notes[0] and "9" not in "".join(notes[1])
    assert [note.split(".")[0] for note in answer["notes"]] == [
        "CLIP reads this as text, not as a weight: (a:nan), (b:inf), (16:9)",
        "T5 reads this as text, not as a weight: (a:nan), (b:inf)",
        "T5 reads this as a weight, as ComfyUI does: (16:9)",
    ]


def test_no_request_opens_a_file(make_server, tmp_path):
    """A textual inversion is a file that a text can name: if a folder lists it, it is text here, else left out."""
    secret = tmp_path / "secret.safetensors"
    (tmp_path / "embeddings").mkdir()
    for file in (secret, tmp_path / "embeddings" / "style.safetensors"):
        file.write_bytes(b"no such file can be read")
    with make_server(model_folders={"embeddings": tmp_path / "embeddings"}) as server:
        for name in ("../secret", "../secret.safetensors", str(secret), "nowhere"):
            answer = ask(server, {"text": f"\U0001f98a embedding:{name}"})[1]
            for reading in answer["readings"]:
                assert reading["ignored"] == [[3, 3 + len(f"embedding:{name}")]] and None not in reading["ids"]
                assert f"embedding:{name} was not found, so {reading['road']} ignores it." in reading["notes"]
        clip, _ = ask(server, {"text": "embedding:style"})[1]["readings"]
        assert clip["ignored"] == [] and None not in clip["ids"] and len(clip["ids"]) > 1


def test_the_longest_text_is_answered(nano_server):
    for sign, units in (("a", 1), ("\U0001f98a", 2)):  # 12 bytes as an escape
        status, answer = ask(nano_server, {"text": sign * 40_000})
        assert status == 200 and answer["readings"][0]["ends"][-1] == 40_000 * units
