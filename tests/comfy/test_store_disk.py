"""The embedding store on a full disk, with foreign files in its folder, and with a wrong clock."""

import errno
import os
import time
from types import SimpleNamespace

import pytest
import torch

from flux_duet.nodes.disk import encoder_files
from flux_duet.nodes.encode.embeddings import cached
from flux_duet.nodes.encode.embeddings import store as store_file
from flux_duet.nodes.encode.embeddings.nodes import EmbeddingStore
from flux_duet.nodes.encode.embeddings.store import Settings, Store
from flux_duet.nodes.encode.encoding import encode_clip
from flux_duet.nodes.probe.grid.cells import cells

pytestmark = pytest.mark.slow

KEY = "0" * 64
FUTURE = time.time() + 10 * 365 * 24 * 3600


@pytest.fixture
def store() -> Store:
    return cached.store()


def put(store: Store, name: str, used: float | None = None) -> None:
    """0.3 MB, last used at a time in seconds since 1970."""
    store.put(name, torch.zeros(75_000))
    if used is not None:
        os.utime(path_of(store, name), (used, used))


def path_of(store: Store, name: str):
    return store.folder / f"{name}.safetensors"


# ---- clocks


def test_an_entry_from_the_future_does_not_outlive_all_that_comes(store):
    put(store, "future", FUTURE)
    store.set(Settings(limit_mb=1))  # three fit
    for name in "abcd":
        put(store, name)
    assert [store.get(name) is not None for name in ("future", *"abcd")] == [False, False, True, True, True]


def test_a_time_in_the_future_becomes_now(store):
    put(store, "future", FUTURE)
    store.size()
    assert path_of(store, "future").stat().st_mtime <= time.time()
    assert store.get("future") is not None


def test_unfinished_files_from_the_future_go(store):
    put(store, "a")
    left = store.folder / "b.safetensors.0.unfinished"
    left.write_bytes(b"half")
    os.utime(left, (FUTURE, FUTURE))
    put(store, "c")
    assert not left.exists()


def test_cells_from_the_future_are_forgotten_in_time(monkeypatch):
    shelf = cells()
    put(shelf, "future", FUTURE)
    put(shelf, "old", 1.0)
    shelf.forget()
    assert [path_of(shelf, name).exists() for name in ("future", "old")] == [True, False]
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 15 * 24 * 3600)
    shelf.forget()
    assert not path_of(shelf, "future").exists()


def test_an_exchanged_file_where_ctime_is_the_time_of_making(tmp_path, monkeypatch):
    """As on Windows. What holds there: another size or time is another version."""
    path, real = tmp_path / "encoder", os.stat

    def made_at_zero(path):
        found = real(path)
        return SimpleNamespace(st_size=found.st_size, st_mtime_ns=found.st_mtime_ns, st_ctime_ns=0,
                               st_ino=found.st_ino, st_dev=found.st_dev)  # fmt: skip

    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))
    monkeypatch.setattr(encoder_files.os, "stat", made_at_zero)
    seen = [encoder_files.stat_of(path)]
    for content, at in ((b"two", 2), (b"three", 1)):
        path.write_bytes(content)
        os.utime(path, ns=(at, at))
        seen.append(encoder_files.stat_of(path))
    assert len(set(map(tuple, seen))) == 3


# ---- settings

ODD = ['{"on": true, "limit_mb": 1e999}', '{"on": true, "limit_mb": NaN}', '{"on": true, "limit_mb": -Infinity}',
       '{"on": "no", "limit_mb": 1}', '{"on": true, "limit_mb": true}', '{"on": true, "limit_mb": [1]}', "[]", "3", "",
       '{"limit_mb": 1}', "[" * 100_000, f'{{"on": true, "limit_mb": {"9" * 5000}}}',
       f'{{"on": true, "limit_mb": {10**400}}}', "\xff"]  # fmt: skip


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_settings_that_cannot_be_used(store, text, caplog):
    put(store, "a")
    settings = store.folder / "settings.json"
    settings.write_text(text, encoding="latin-1")
    assert store.settings() == Settings() and "uses its defaults" in caplog.text
    put(store, "b")
    assert store.get("a") is not None and store.get("b") is not None
    store.set(Settings())
    caplog.clear()
    assert store.settings() == Settings() and not caplog.text, "not mended by the node"


def test_an_encoder_runs_with_settings_that_cannot_be_used(store, tiny, singles):
    store.folder.mkdir(parents=True)
    (store.folder / "settings.json").write_text(ODD[0])
    vec = encode_clip(singles[0], "a red ring").spans[0].tensor
    assert store.size()[0] == 1 and torch.equal(encode_clip(singles[0], "a red ring").spans[0].tensor, vec)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_settings_and_entries_that_are_pipes_are_not_waited_for(store):
    store.folder.mkdir(parents=True)
    os.mkfifo(store.folder / "settings.json")
    os.mkfifo(path_of(store, "a"))
    assert store.settings() == Settings() and store.get("a") is None
    put(store, "a")
    assert store.get("a") is not None


# ---- foreign files


def test_an_entry_whose_metadata_is_null_is_encoded_anew(store, caplog):
    put(store, "a")
    path = path_of(store, "a")
    head = b'{"__metadata__":null,"%s":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' % store_file._NAME.encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    assert store.get(path.stem) is None and "is damaged" in caplog.text


def test_folders_among_the_entries_are_counted_and_go(store):
    put(store, "a")
    entry = path_of(store, "a").stat().st_size
    for name in (path_of(store, "b"), store.folder / "c.safetensors.0.unfinished"):
        (name / "inner").mkdir(parents=True)
        (name / "inner" / "file").write_bytes(b"0" * 1000)
    assert store.size() == (1, entry + 2000)
    assert store.get("b") is None
    put(store, "b")
    assert store.get("b") is not None, "a folder stands in its place"
    path_of(store, "d").mkdir()
    store.empty()
    assert list(store.folder.iterdir()) == [] and store.size() == (0, 0)


def test_unfinished_files_are_counted_and_go(store):
    put(store, "a")
    entry = path_of(store, "a").stat().st_size
    unfinished = store.folder / "b.safetensors.0.unfinished"
    unfinished.write_bytes(b"0" * 600_000)
    assert store.size() == (1, entry + 600_000)
    store.set(Settings(limit_mb=1))
    put(store, "c")
    assert store.size()[1] <= 10**6 and store.get("a") is None
    store.empty()
    assert not unfinished.exists() and store.settings() == Settings(limit_mb=1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="links without rights of their own")
def test_a_link_goes_and_what_it_leads_to_stays(store, tmp_path):
    put(store, "a")
    beyond = tmp_path / "beyond"
    beyond.mkdir()
    (beyond / "file").write_bytes(b"mine")
    path_of(store, "b").symlink_to(beyond)
    path_of(store, "c").symlink_to(beyond / "file")
    store.empty()
    assert (beyond / "file").read_bytes() == b"mine" and not list(store.folder.glob("*.safetensors"))


# ---- a full disk


@pytest.fixture
def full(monkeypatch):
    def fails(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(store_file, "write_whole", fails)


def test_the_node_on_a_full_disk(store, request):
    put(store, "a")
    request.getfixturevalue("full")
    words = r"^Embedding Store: the settings cannot be written .*\(No space left on device\).* Free disk space"
    with pytest.raises(ValueError, match=words) as error:
        EmbeddingStore.execute(True, 7, "report")
    assert str(store.folder) not in str(error.value)
    assert EmbeddingStore.execute(True, Settings.limit_mb, "report").args[0].startswith("1 encodings, 0.3 of 2048 MB")
    with pytest.raises(ValueError, match=words):
        EmbeddingStore.execute(True, 7, "empty")
    assert store.size() == (0, 0), "it is emptied nevertheless, which frees a full disk"


def test_the_node_where_no_folder_can_be_made(store):
    store.folder.parent.parent.mkdir(parents=True, exist_ok=True)
    store.folder.parent.write_bytes(b"a file where the folder ought to be")
    with pytest.raises(ValueError, match="^Embedding Store: the settings cannot be written into ComfyUI's user folder"):
        EmbeddingStore.execute(False, 7, "report")
    assert EmbeddingStore.execute(True, Settings.limit_mb, "empty").args[0].startswith("0 encodings, 0.0 of 2048 MB")


def test_the_node_tells_what_could_not_be_taken_away(store, monkeypatch):
    put(store, "a")

    def held(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "another program reads it")

    monkeypatch.setattr(type(store.folder), "unlink", held)
    report = EmbeddingStore.execute(True, Settings.limit_mb, "empty").args[0]
    assert report.startswith("1 encodings") and "\n1 could not be deleted: another program" in report
