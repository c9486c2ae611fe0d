"""Load Embedding: invalid and hostile files are refused with the reason."""

import json
import os
import pickle
import struct

import pytest
import safetensors.torch
import torch

from flux_duet.nodes.encode.embeddings import stream_file
from flux_duet.nodes.encode.embeddings.nodes import EmbeddingStore, LoadStream, SaveStream
from flux_duet.nodes.encode.nodes import T5Encode
from flux_duet.nodes.probe.grid.prompts import gathered
from flux_duet.tests.comfy.stream_file.files import saved

# ---- hostile files


def write(path, tensors, **changes):
    """A file with a valid checksum, so that it is refused for another reason; a value of None omits the entry."""
    entries = {"vec": json.dumps({"source": None, "extras": [{}]}), **changes}
    head = {"format": stream_file.FORMAT, "version": "1", "family": "flux.1"}
    streams = {name: entries[name] for name in ("vec", "txt") if entries.get(name) is not None}
    metadata = {**head, "sha256": stream_file._digest(tensors, streams), **entries}
    path.write_bytes(safetensors.torch.save(tensors, {key: value for key, value in metadata.items() if value}))
    return path


GOOD = torch.zeros(1, 768)
NAN_, SIGMAS = float("nan"), {"timestep_start": 1.0, "timestep_end": -float("inf")}
NAN = torch.full((1, 768), NAN_)
METHOD = {"reference_latents_method": "eval"}


def of_one(**fields):
    return json.dumps({"source": None, "extras": [{}], **fields})


def text_source(**changes):
    return of_one(source={"text": "a", "tokens": [[[5, 1.0]]], "settings": {}, "encoder": {}, **changes})


HOSTILE = {
    "another format": ({"vec/0": GOOD}, {"format": "pt"}, "not saved by"),
    "a later version": ({"vec/0": GOOD}, {"version": "2"}, "update Flux Duet"),
    "another family": ({"vec/0": GOOD}, {"family": "sd3"}, "it is for sd3, expected flux.1"),
    "a wrong checksum": ({"vec/0": GOOD}, {"sha256": "0"}, "checksum is wrong"),
    "no stream": ({"vec/0": GOOD}, {"vec": None}, "unknown tensors"),
    "a tensor too many": ({"vec/0": GOOD, "vec/1": GOOD + 1}, {}, r"unknown tensors: \['vec/1'\]"),
    "a tensor too few": ({"txt/0": GOOD}, {}, "vec/0"),
    "a wrong shape": ({"vec/0": GOOD[None]}, {}, r"shape \[1, 1, 768\], expected 2 dimensions"),
    "no rows": ({"vec/0": torch.zeros(0, 768)}, {}, "none of them 0"),
    "a wrong type": ({"vec/0": GOOD.to(torch.int64)}, {}, "torch.int64, expected float32"),
    "fp8": ({"vec/0": GOOD.to(torch.float8_e4m3fn)}, {}, "float8"),
    "not a number": ({"vec/0": NAN}, {}, "not finite"),
    "infinity": ({"vec/0": NAN.nan_to_num(float("inf"))}, {}, "not finite"),
    "weights of a vec": ({"vec/0": GOOD, "vec/0/bias": torch.zeros(1, 768)}, {}, "expected one for each token"),
    "an extra of ComfyUI's": ({"vec/0": GOOD}, {"vec": of_one(extras=[{"control": "x"}])}, "'control' .str., which"),
    "a time that is none": ({"vec/0": GOOD}, {"vec": of_one(extras=[{"clip_end_percent": 9}])}, "expected a number"),
    "half a time": ({"vec/0": GOOD}, {"vec": of_one(extras=[{"timestep_start": 1.0}])}, "expected both"),
    "an infinite sigma": ({"vec/0": GOOD}, {"vec": of_one(extras=[SIGMAS])}, "'timestep_end' with -inf"),
    "a strength that is none": ({"vec/0": GOOD}, {"vec": of_one(extras=[{"strength": NAN_}])}, "'strength' with nan"),
    "a number too long": ({"vec/0": GOOD}, {"vec": of_one(extras=[{"strength": 10**400}])}, "'strength' with 1000"),
    "a switch that is none": ({"vec/0": GOOD}, {"vec": of_one(extras=[{"default": 1}])}, "'default' with 1"),
    "a word that is none": ({"vec/0": GOOD}, {"vec": of_one(extras=[METHOD])}, "expected one of offset, index"),
    "extras that are none": ({"vec/0": GOOD}, {"vec": of_one(extras=[[1]])}, "list instead of an object"),
    "a thousand spans": ({"vec/0": GOOD}, {"vec": of_one(extras=[{}] * 1000)}, "1 to 64 encodings"),
    "depth": ({"vec/0": GOOD}, {"vec": "[" * 100_000}, "RecursionError|recursion"),
    "no JSON": ({"vec/0": GOOD}, {"vec": "{"}, "cannot be used"),
    "a list for a stream": ({"vec/0": GOOD}, {"vec": "[]"}, "its structure is wrong"),
    "a text that is none": ({"vec/0": GOOD}, {"vec": text_source(text={"html": 1})}, "are not strings"),
    "settings that are none": ({"vec/0": GOOD}, {"vec": text_source(settings=[1])}, "are not strings"),
    "a token that is none": ({"vec/0": GOOD}, {"vec": text_source(tokens=[[["x", 1.0]]])}, "is not a token"),
    "a weight that is none": ({"vec/0": GOOD}, {"vec": text_source(tokens=[[[5, NAN_]]])}, "is not a token"),
    "a weight too long": ({"vec/0": GOOD}, {"vec": text_source(tokens=[[[5, 10**400]]])}, "is not a token"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_with_the_reason(case, tmp_path):
    tensors, changes, reason = HOSTILE[case]
    with pytest.raises(ValueError, match=reason) as caught:
        stream_file.load(write(tmp_path / "bad.safetensors", tensors, **changes))
    assert "bad.safetensors cannot be used" in str(caught.value) and len(str(caught.value)) < 400


def test_the_same_writer_writes_what_is_accepted(tmp_path):
    good = write(tmp_path / "good.safetensors", {"vec/0": GOOD})
    assert torch.equal(stream_file.load(good).streams["vec"].spans[0].tensor, GOOD)


def test_weights_that_leave_no_token_are_refused(tmp_path):
    txt, none = torch.zeros(1, 3, 8), torch.full((1, 3), -torch.inf)
    for bias, fine in ((none, False), (none.index_fill(1, torch.tensor(0), 0), True), (none[:, :2] * 0, False)):
        path = write(tmp_path / "x.safetensors", {"txt/0": txt, "txt/0/bias": bias}, vec=None, txt=of_one())
        if fine:
            assert stream_file.load(path).streams["txt"].spans[0].bias.isneginf().sum() == 2
        else:
            pytest.raises(ValueError, stream_file.load, path)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"\0" * 7,
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 5 * 2**20) + b"{" * 99,
        struct.pack("<Q", 2) + b"{}",
        b"PK\x03\x04" + b"x" * 64,
    ],
)
def test_files_that_are_none(start, tmp_path):
    path = tmp_path / "none.safetensors"
    path.write_bytes(start)
    pytest.raises(ValueError, stream_file.load, path)


def test_every_byte_counts(streams, tmp_path):
    """Damage anywhere is detected or has no effect."""
    path = saved(tmp_path, vec=streams[0])
    whole, about = path.read_bytes(), stream_file.load(path).about()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            loaded = stream_file.load(path)
        except ValueError:
            continue
        assert loaded.about() == about
        assert torch.equal(loaded.streams["vec"].spans[0].tensor, streams[0].spans[0].tensor)


def test_a_pickle_is_not_even_opened(tmp_path):
    class Runs:
        def __reduce__(self):
            return pytest.fail, ("it was run",)

    for name in ("prompt.pt", "prompt.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Runs()))
        pytest.raises(ValueError, stream_file.load, tmp_path / name)


def test_a_file_too_large_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_file, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="larger than 1,000 bytes"):
        stream_file.load(write(tmp_path / "large.safetensors", {"vec/0": GOOD}))


# ---- the node for the embedding store


def test_the_store_s_node_shows_sets_and_empties(singles):
    T5Encode.execute(singles[1], "kept", "exact")
    assert EmbeddingStore.execute(True, 2048, "report").args[0].startswith("1 encodings, 0.0 of 2048 MB, on")
    assert EmbeddingStore.execute(False, 2048, "empty").args[0].startswith("0 encodings")
    T5Encode.execute(singles[1], "not kept", "exact")
    assert EmbeddingStore.execute(True, 2048, "report").args[0].startswith("0 encodings, 0.0 of 2048 MB, on")
    assert EmbeddingStore.fingerprint_inputs() != EmbeddingStore.fingerprint_inputs()


def test_a_header_whose_metadata_is_null(tmp_path):
    """Treated like a file without metadata, as safetensors does."""
    head = b'{"__metadata__":null,"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path = tmp_path / "null.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    with pytest.raises(ValueError, match="it was not saved by Save Embedding"):
        stream_file.load(path)


def test_a_long_name_in_a_damaged_header_is_not_told_whole(tmp_path):
    header = json.dumps({"a": {"dtype": "x" * 100_000, "shape": [], "data_offsets": [0, 0]}}).encode()
    path = tmp_path / "odd.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="odd.safetensors cannot be used") as refused:
        stream_file.load(path)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "nothing"])
def test_what_is_no_file_is_told_without_its_folder(tmp_path, kind):
    path = tmp_path / "odd.safetensors"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("Windows has no named pipes in folders")
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    with pytest.raises(ValueError, match="odd.safetensors cannot be used: it (is|cannot be read)") as refused:
        stream_file.load(path)
    assert str(tmp_path) not in str(refused.value)
    with pytest.raises(ValueError, match="T5 prompts cannot be read from odd.safetensors") as refused:
        gathered("T5", "a", path)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("given", [0, 1.5, True, {"a": 1}, ["x", 0], "none.safetensors", "\0"])
def test_a_file_that_is_no_name_of_one_is_refused_before_the_run(given):
    """ComfyUI shows the raw text of an exception in this check."""
    message = LoadStream.validate_inputs(file=given)
    assert "was not found in ComfyUI's input or output folder" in message


def test_a_name_that_the_disk_does_not_take_is_told_without_its_folder(streams, tmp_path):
    with pytest.raises(ValueError, match="(?i)Save Embedding: .xxx.*cannot be written .*name too long") as refused:
        SaveStream.execute("x" * 3000, vec=streams[0])
    assert str(tmp_path) not in str(refused.value) and len(str(refused.value)) < 500
