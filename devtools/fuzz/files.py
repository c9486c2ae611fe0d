"""Damaged files, made from real ones, for the functions that read them, in this process. Needs ComfyUI.

Each file is a whole one with bytes changed, cut off or added, with a changed header, or something that is no file.
"""

import copy
import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import folder_paths
import safetensors.torch
import torch

from ...nano import layouts
from ...nodes.condition.blocks import Blocks
from ...nodes.condition.time import timeline
from ...nodes.encode.embeddings import stream_file
from ...nodes.encode.embeddings.store import Settings, Store
from ...nodes.encode.encoding import encode_clip, encode_t5
from ...nodes.encode.load.loading import load_clip_l, load_t5
from ...nodes.probe.grid.prompts import gathered
from ...nodes.probe.heat.choices import MASS
from ...nodes.probe.heat.reading import GROUPS, Choice, HeatReading
from ...nodes.probe.heat.stored import SUFFIX, look, store
from ...nodes.streams import ClipVec, Source, Span, T5Text
from . import captions, inputs
from .figures import Figures, Timer

ODD = (*inputs.ODD, 3, 1e999, [1, 2], {"a": 1}, "F32", "BF16", "I64", [0], [2**40], [-1, 4], ["x"], True)

# Two steps, four blocks of which two are double, one picture, two words, 3 x 4 image tokens.
HEAT = HeatReading(MASS, ("a", "ring"), torch.full((2, 4, 1, 2, 12), 0.1), torch.full((2, 4, 1, 2 + len(GROUPS)), 0.1),
                   (1.0, 0.5), (0, 1), 2, (3, 4))  # fmt: skip


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes of a file with one or more random changes."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice((_flipped, _flipped_early, _cut, _longer, _other_header, _other_header))(rng, data)
    return data


def _flipped(rng: random.Random, data: bytes, until: int | None = None) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 3, 40))):
        if changed:
            changed[rng.randrange(min(len(changed), until or len(changed)))] = rng.randrange(256)
    return bytes(changed)


def _flipped_early(rng: random.Random, data: bytes) -> bytes:
    return _flipped(rng, data, 600)


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.choice((0, 4, 8, 100, rng.randint(0, len(data))))]


def _longer(rng: random.Random, data: bytes) -> bytes:
    return data + rng.randbytes(rng.choice((1, 100)))


def _other_header(rng: random.Random, data: bytes) -> bytes:
    """Changes, removes or renames one value of the header."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
        _change(rng, header)
        text = json.dumps(header).encode()
    except (ValueError, RecursionError, AttributeError, IndexError, TypeError):
        return data
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _change(rng: random.Random, table: dict) -> None:
    """Changes a random value in nested objects and lists."""
    if not table:
        return
    place = rng.choice([*table]) if isinstance(table, dict) else rng.randrange(len(table))
    if isinstance(table[place], dict | list) and table[place] and rng.random() < 0.8:
        _change(rng, table[place])
    elif isinstance(table, dict) and rng.random() < 0.3:
        value = table.pop(place)
        if rng.random() < 0.5:
            table[place.replace("0", "99999999")] = value
    else:
        table[place] = copy.deepcopy(rng.choice(ODD))  # a copy, because it may be changed later


def placed(rng: random.Random, folder: Path, name: str, data: Callable[[], bytes]) -> Path:
    """Creates a file with these bytes, or sometimes a folder, a pipe, a link to itself, or nothing."""
    path = folder / name
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    kind = rng.random()
    if kind < 0.02:
        path.mkdir()
    elif kind < 0.04 and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    elif kind < 0.06 and os.name != "nt":
        path.symlink_to(path)
    elif kind > 0.08:
        path.write_bytes(data())
    return path


class Files:
    """Real files in a separate folder, to be damaged. `kinds` are the kinds of input that `read_one` supports."""

    def __init__(self, figures: Figures, folder: Path):
        self.figures, self.folder = figures, folder
        self._made = {path.stem: path.read_bytes() for path in layouts.save(folder / "whole").values()
                      if path.parent.name == "text_encoders"}  # fmt: skip
        self.stream = self._saved()
        self._store = Store(folder / "store")
        self._captions = captions.Captions(folder / "captions")
        self._heat = (folder / f"{store(HEAT, folder)}{SUFFIX}").read_bytes()
        self.kinds: dict[str, Callable[[random.Random, int], None]] = {
            "damaged encoders": self._encoder,
            "damaged embeddings": self._embedding,
            "embeddings signed anew": self._signed,
            "entries of the store": self._entry,
            "settings of the store": self._settings,
            "files of prompts": self._prompts,
            "readings of a heatmap": self._reading,
            "folders of captions": self._folder,
        }

    def read_one(self, kind: str, rng: random.Random, most: int) -> None:
        """Reads one file: it must give a result, or a clean error message without a folder."""
        self.figures.tried[kind] += 1
        state = rng.getstate()
        timer = Timer()
        try:
            self.kinds[kind](rng, most)
        except Exception as error:
            self.figures.judge(kind, error, f"the state {hash(state)}", self.folder)
        self.figures.took(kind, *timer.read(), kind)

    def _saved(self) -> bytes:
        torch.manual_seed(0)
        source = Source("a red circle", [[(3, 1.0), (7, 1.5)]], {"length": "exact"}, lambda: {"file": "t5"})
        vec = ClipVec((Span(torch.randn(1, 768), {"start_percent": 0.0, "end_percent": 0.5}),), source)
        txt = T5Text((Span(torch.randn(1, 4, 4096), {}, torch.zeros(1, 4)), Span(torch.randn(1, 2, 4096))), source)
        path = self.folder / "whole.safetensors"
        stream_file.save(path, {"vec": vec, "txt": txt})
        return path.read_bytes()

    def _embedding(self, rng: random.Random, most: int) -> None:
        path = placed(rng, self.folder, "odd.safetensors", lambda: damaged(rng, self.stream))
        stream_file.load(path).about()

    def _signed(self, rng: random.Random, most: int) -> None:
        """A file with odd metadata and a valid checksum, as made on purpose."""
        tensors = safetensors.torch.load(self.stream)
        length = int.from_bytes(self.stream[:8], "little")
        metadata = json.loads(self.stream[8 : 8 + length])["__metadata__"]
        streams = {stream: json.loads(metadata[stream]) for stream in stream_file.STREAMS}
        for _ in range(rng.choice((1, 1, 3))):
            _change(rng, streams)
        changed = {stream: json.dumps(value) for stream, value in streams.items() if stream in stream_file.STREAMS}
        if rng.random() < 0.3:
            key = rng.choice(sorted(tensors))
            tensors[key] = rng.choice((tensors[key][:0], tensors[key].long(), tensors[key] / 0, tensors[key][None]))
        head = {key: metadata[key] for key in ("format", "version", "family")}
        path = self.folder / "signed.safetensors"
        digest = stream_file._digest(tensors, changed)
        path.write_bytes(safetensors.torch.save(tensors, {**head, **changed, "sha256": digest}))
        stream_file.load(path).about()

    def _encoder(self, rng: random.Random, most: int) -> None:
        name = rng.choice(sorted(self._made))
        path = placed(rng, self.folder, f"{name}.safetensors", lambda: damaged(rng, self._made[name]))
        if "clip" in name:
            encode_clip(load_clip_l(str(path)), "a red circle")
        else:
            encode_t5(load_t5(str(path)), "a red circle", "exact", "embedding")

    def _entry(self, rng: random.Random, most: int) -> None:
        """A damaged entry must count as absent; an entry that is returned must be the one that was stored."""
        torch.manual_seed(1)
        tensor = torch.randn(2, 8)
        self._store.put("k", tensor)
        whole = (self._store.folder / "k.safetensors").read_bytes()
        placed(rng, self._store.folder, "k.safetensors", lambda: damaged(rng, whole))
        found = self._store.get("k")
        if found is None:
            self.figures.refused["entries of the store"] += 1
        elif not torch.equal(found, tensor):
            raise AssertionError("the store gave back other numbers")

    def _settings(self, rng: random.Random, most: int) -> None:
        text = {"on": rng.choice((True, *ODD)), "limit_mb": rng.choice((3, *ODD))}
        data = json.dumps(text).encode()
        placed(rng, self._store.folder, "settings.json", lambda: _flipped(rng, data) if rng.random() < 0.3 else data)
        limit = self._store.settings().limit_mb
        if type(limit) is not int or limit < 0:
            raise AssertionError(f"a limit of {limit!r:.40} MB")
        placed(rng, self._store.folder, "settings.json", lambda: data)
        self._store.set(Settings()) if not (self._store.folder / "settings.json").is_dir() else None

    def _prompts(self, rng: random.Random, most: int) -> None:
        """A file of prompts in some encoding, and a timeline of it."""
        coding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
        data = inputs.text(rng, most).encode(coding, "replace")
        if rng.random() < 0.3:
            data = rng.choice((_flipped, _cut, _longer))(rng, data)
        path = placed(rng, self.folder, "prompts.txt", lambda: data)
        for prompt in gathered("CLIP", inputs.text(rng, 60), path)[:3]:
            timeline.parse(prompt)

    def _reading(self, rng: random.Random, most: int) -> None:
        """The maps that Show Heatmap's panel asks for; a file that is missing is another answer's matter."""
        path = placed(rng, self.folder, "reading.safetensors", lambda: damaged(rng, self._heat))
        with suppress(FileNotFoundError):
            look(path, Choice(rng.choice((0, 0, 1, 9)), None, Blocks.parse(rng.choice(("all", "single", "3")))))

    def _folder(self, rng: random.Random, most: int) -> None:
        """Some files of captions, whole or damaged, or what is no file; the rest of the folder must be checked."""
        for name in captions.NAMES:
            data = captions.data(rng, name, most)
            if rng.random() < 0.2:
                data = rng.choice((_flipped, _cut, _longer))(rng, data)
            placed(rng, self._captions.folder, name, lambda data=data: data)
        self._captions.check(rng)


@contextmanager
def own_user(folder: Path) -> Iterator[None]:
    """Sets ComfyUI's user folder in this process, where the records of the files are written."""
    before = folder_paths.get_user_directory()
    folder_paths.set_user_directory(str(folder))
    try:
        yield
    finally:
        folder_paths.set_user_directory(before)
