"""Loaders offer the files that fit first: those of their encoder, or LoRAs for FLUX.1."""

import json

import pytest

from flux_duet.nodes.disk import headers
from flux_duet.nodes.encode.load import choices, layout

CLIP = {choices.CLIP_MARK: (8, 8)}
T5 = {choices.T5_MARK: (8, 8)}
KINDS = {
    "clip_l": CLIP,
    "clip_g": {**CLIP, **{f"text_model.encoder.layers.{at}.mlp.fc1.weight": (8, 8) for at in range(32)}},
    "t5": T5,
    "umt5": {**T5, choices.UMT5_MARK: (32, 8)},
    "flux": {"double_blocks.0.img_attn.proj.weight": (8, 8)},
}


def written(path, shapes):
    tensors = {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    header = json.dumps(tensors)
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_fits_as_the_loader_decides(kind):
    shapes = KINDS[kind]
    assert choices.is_clip_l(frozenset(shapes)) == layout.CLIP_L.fits(shapes)
    assert choices.is_t5(frozenset(shapes)) == layout.T5.fits(shapes)


def test_files_that_fit_come_first_and_odd_ones_stay(tmp_path):
    for kind, shapes in KINDS.items():
        written(tmp_path / f"{kind}.safetensors", shapes)
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 20)
    (tmp_path / "nested.safetensors").write_bytes((200_000).to_bytes(8, "little") + b"[" * 200_000)
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    (tmp_path / "folder.safetensors").mkdir()
    files = sorted(path.name for path in tmp_path.iterdir()) + ["gone.safetensors"]
    for fits, first in ((choices.is_clip_l, "clip_l"), (choices.is_t5, "t5")):
        found = headers.fitting_first(files, lambda name: str(tmp_path / name), fits)
        assert found[0] == f"{first}.safetensors"
        assert found[1:] == [file for file in files if file != found[0]]


def test_a_header_is_read_once_until_the_file_changes(tmp_path, monkeypatch):
    path, read = written(tmp_path / "b.safetensors", CLIP), []
    own = headers._names
    monkeypatch.setattr(headers, "_names", lambda path: read.append(path) or own(path))

    def offered():
        return headers.fitting_first(["a.gguf", path.name], lambda name: str(tmp_path / name), choices.is_clip_l)

    assert [offered()[0] for _ in range(3)] == [path.name] * 3 and len(read) == 1
    written(path, {**T5, "more": (1,)})
    assert offered() == ["a.gguf", path.name] and len(read) == 2


def test_a_slow_disk_does_not_stop_the_list(tmp_path, monkeypatch):
    written(tmp_path / "b.safetensors", CLIP)
    monkeypatch.setattr(headers, "SECONDS", -1)
    path_of = lambda name: str(tmp_path / name)  # noqa: E731
    assert headers.fitting_first(["a", "b.safetensors"], path_of, choices.is_clip_l) == ["a", "b.safetensors"]


def test_lists_share_their_time_until_there_was_a_rest(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(headers.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(headers, "_time", headers._Time())

    def slow(_):
        now[0] += 1.5  # seconds
        return True

    names = [f"{letter}.safetensors" for letter in "abcd"]
    for name in names:
        (tmp_path / name).write_bytes((2).to_bytes(8, "little") + b"{}")

    def listed(fits):
        return headers.fitting_first(["0.gguf", *names], lambda name: str(tmp_path / name), fits)

    assert listed(slow) == ["a.safetensors", "b.safetensors", "0.gguf", "c.safetensors", "d.safetensors"]
    assert listed(lambda names: slow(names)) == ["0.gguf", *names]  # another loader: no time is left
    now[0] += headers.REST + 1
    assert listed(slow) == [*names, "0.gguf"]
