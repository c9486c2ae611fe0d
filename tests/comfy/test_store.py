"""The embedding store: no stale hit, no lost or half-written entry, and the encodings bit for bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from flux_duet.nodes.disk.encoder_files import EncoderFile
from flux_duet.nodes.encode.embeddings import cached
from flux_duet.nodes.encode.embeddings.store import Settings, Store
from flux_duet.nodes.encode.encoding import CLIP_L, T5XXL, encode_clip, encode_t5
from flux_duet.nodes.encode.load.loading import load_clip_l, load_t5

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "workflows" / "models" / "text_encoders"
KEY = "0" * 64


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def _nano(word: str) -> str:
    return str(next(path for path in MODELS.iterdir() if word in path.name))


def _refuse(*args, **kwargs):
    raise AssertionError("the encoder was run")


def test_a_kept_encoding_is_bit_identical_and_runs_no_encoder(monkeypatch):
    clip, t5 = load_clip_l(_nano("clip")), load_t5(_nano("t5"))
    vec, (txt, _) = encode_clip(clip, "a red ring"), encode_t5(t5, "a red ring")
    clip, t5 = load_clip_l(_nano("clip")), load_t5(_nano("t5"))
    monkeypatch.setattr(clip.cond_stage_model.clip_l, "encode_token_weights", _refuse)
    monkeypatch.setattr(t5.cond_stage_model.t5xxl, "encode_token_weights", _refuse)
    assert torch.equal(encode_clip(clip, "a red ring").spans[0].tensor, vec.spans[0].tensor)
    assert torch.equal(encode_t5(t5, "a red ring")[0].spans[0].tensor, txt.spans[0].tensor)
    with pytest.raises(AssertionError, match="was run"):
        encode_t5(t5, "a blue ring")


def test_switched_off_nothing_is_kept_or_looked_up():
    cached.store().set(Settings(on=False))
    encode_clip(load_clip_l(_nano("clip")), "a red ring")
    assert cached.store().size() == (0, 0)


def _key(clip, chunks):
    return cached.key_of(clip, T5XXL, chunks)


def test_all_that_the_numbers_depend_on_is_in_the_key(tmp_path):
    t5, chunks = load_t5(_nano("t5")), [[(3, 1.0), (1, 1.0)]]
    keys = [_key(t5, chunks), _key(t5, [[(3, 1.1), (1, 1.0)]]), _key(t5, [[(4, 1.0), (1, 1.0)]])]
    keys += [cached.key_of(t5, CLIP_L, chunks), _key(t5, [[(torch.ones(64), 1.0), (1, 1.0)]])]
    for strength in (0.5, 1.0):
        patched = t5.clone()
        weight = next(key for key in t5.patcher.model_state_dict() if key.endswith("SelfAttention.q.weight"))
        difference = torch.ones(t5.patcher.model_state_dict()[weight].shape)
        patched.add_patches({weight: ("diff", (difference,))}, strength)
        keys.append(_key(patched, chunks))
    other = tmp_path / "t5.safetensors"
    content = bytearray(Path(_nano("t5")).read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    keys.append(_key(load_t5(str(other)), chunks))
    layered = t5.clone()
    layered.clip_layer(-2)
    keys.append(_key(layered, chunks))
    assert None not in keys and len(set(keys)) == len(keys)
    assert _key(load_t5(_nano("t5")), chunks) == keys[0]


def test_what_cannot_be_told_is_not_kept():
    t5 = load_t5(_nano("t5"))
    t5.patcher.add_object_patch("t5xxl.layer", "last")
    assert _key(t5, [[(3, 1.0)]]) is None
    opaque = load_t5(_nano("t5"))
    weight = next(key for key in opaque.patcher.model_state_dict() if key.endswith("SelfAttention.q.weight"))
    opaque.add_patches({weight: [(torch.ones(1), lambda weight: weight)]})
    assert _key(opaque, [[(3, 1.0)]]) is None


def test_an_exchanged_file_is_another_version(tmp_path):
    path = tmp_path / "encoder"
    path.write_bytes(b"one")
    before = EncoderFile.at(str(path), tmp_path / "records")
    digest = before.digest()
    times = os.stat(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # same size, same time
    after = EncoderFile.at(str(path), tmp_path / "records")
    assert after.digest() not in (None, digest)
    path.write_bytes(b"three")
    assert EncoderFile.at(str(path), tmp_path / "records").digest() != after.digest()
    assert EncoderFile(before.path, before.stat, tmp_path / "none").digest() is None


def test_every_damage_is_noticed_and_the_entry_goes(store):
    store.put(KEY, torch.arange(6.0).reshape(2, 3))
    path = store.folder / f"{KEY}.safetensors"
    whole = path.read_bytes()
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        path.write_bytes(broken)
        found = store.get(KEY)
        assert found is None or torch.equal(found, torch.arange(6.0).reshape(2, 3))
        assert path.exists() == (found is not None)
    path.write_bytes(whole[:-1])
    assert store.get(KEY) is None
    store.put("1" * 64, torch.zeros(1))
    os.replace(store.folder / f"{'1' * 64}.safetensors", path)
    assert store.get(KEY) is None, "an entry under another's name"


def test_the_longest_unused_goes_first(store):
    store.set(Settings(limit_mb=1))
    for index in range(4):
        store.put(str(index), torch.zeros(75_000))  # 0.3 MB: three fit
        os.utime(store.folder / f"{index}.safetensors", ns=(index, index))
        if index == 2:
            assert store.get("0") is not None  # used last
    assert [store.get(str(index)) is not None for index in range(4)] == [True, False, True, True]
    assert store.size()[1] <= 10**6
    store.empty()
    assert store.size() == (0, 0)


_WRITER = """
import importlib.util, sys, torch
from pathlib import Path
import types
root = Path(sys.argv[1])
for name, path in (("pack", root), ("pack.disk", root / "disk"), ("pack.encode", root / "encode"),
                   ("pack.encode.embeddings", root / "encode/embeddings")):
    module = types.ModuleType(name); module.__path__ = [str(path)]; sys.modules[name] = module
from pack.encode.embeddings.store import Store, Settings
store = Store(Path(sys.argv[2]))
print("ready", flush=True)
for turn in range(int(sys.argv[3])):
    key = str(turn % 8)
    kept = store.get(key)
    assert kept is None or (kept == turn % 8).all(), key
    store.put(key, torch.full((50_000,), float(turn % 8)))
"""


def _writer(folder: Path, turns: int) -> subprocess.Popen:
    arguments = [sys.executable, "-c", _WRITER, str(Path(__file__).parents[2] / "nodes"), str(folder), str(turns)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_hammer_one_store(store):
    store.set(Settings(limit_mb=1))  # room for five of the eight: both evict what the other writes
    both = [_writer(store.folder, 400) for _ in range(2)]
    for process in both:
        assert process.communicate()[1] == "" and process.returncode == 0
    assert store.size()[1] <= 10**6
    assert not list(store.folder.glob("*.unfinished"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, to be killed 200 times quickly")
def test_a_kill_at_any_moment_leaves_whole_entries(store):
    for round_ in range(200):
        child = os.fork()
        if child == 0:
            while True:
                store.put("0", torch.full((50_000,), 1.0))
        time.sleep(0.0005 * (1 + round_ % 20))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        path = store.folder / "0.safetensors"
        there = path.exists()
        assert (store.get("0") is not None) == there, f"damaged in round {round_}"
