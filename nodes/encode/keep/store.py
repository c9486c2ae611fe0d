"""The embedding store: encodings on disk, each a .safetensors under the digest of all that went into it.

An entry never changes, so two processes may write the same one, and a reader sees a whole file or none. Its checksum
is verified on reading; a damaged entry counts as absent and is written anew. Past the limit the entries that were not
used for longest go first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .atomic import sweep, write_whole

log = logging.getLogger("flux_duet")

VERSION = 2  # of what CLIP-L Encode and T5 Encode compute: raise it when the same tokens give other numbers
_NAME = "embedding"


@dataclass(frozen=True)
class Settings:
    """What the Embedding Store node sets, for all runs: whether the store is used, and how many MB it may take."""

    on: bool = True
    limit_mb: int = 2048


@dataclass(frozen=True)
class Store:
    """A folder of encodings."""

    folder: Path

    def settings(self) -> Settings:
        """As last set; the defaults where nothing, or nothing readable, was."""
        try:
            given = json.loads(self._settings.read_text(encoding="utf-8"))
            return Settings(on=bool(given["on"]), limit_mb=max(0, int(given["limit_mb"])))
        except FileNotFoundError:
            return Settings()
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s cannot be read (%s); the embedding store uses its defaults.", self._settings, error)
            return Settings()

    def set(self, settings: Settings) -> None:
        write_whole(self._settings, json.dumps(asdict(settings)).encode())
        self._make_room(settings.limit_mb)

    def get(self, key: str) -> Tensor | None:
        """The encoding under this key; None where there is none, or a damaged one, which is taken away."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        try:
            tensor = _unpack(data, key)
        except ValueError as error:
            log.warning("The embedding store's %s is damaged (%s) and is encoded anew.", path.name, error)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):  # emptied meanwhile, or a read-only disk: the encoding is good all the same
            os.utime(path)
        return tensor

    def put(self, key: str, tensor: Tensor) -> None:
        """A disk that is full or read-only is told in the log; the run goes on with the encoding it has.

        What is not finite is a fault, which keeping would make last.
        """
        if not tensor.isfinite().all():
            return
        try:
            write_whole(self._path(key), _pack(tensor, key))
            self._make_room(self.settings().limit_mb)
        except OSError as error:
            log.warning("The embedding store could not keep an encoding: %s", error)

    def size(self) -> tuple[int, int]:
        """How many encodings there are, and their bytes."""
        sizes = [size for _, size, _ in self._entries()]
        return len(sizes), sum(sizes)

    def empty(self) -> None:
        for _, _, path in self._entries():
            path.unlink(missing_ok=True)
        sweep(self.folder)

    def _make_room(self, limit_mb: int) -> None:
        sweep(self.folder)
        entries = self._entries()
        too_much = sum(size for _, size, _ in entries) - limit_mb * 10**6
        for _, size, path in entries:
            if too_much <= 0:
                return
            path.unlink(missing_ok=True)
            too_much -= size

    def _entries(self) -> list[tuple[int, int, Path]]:
        """(last used, bytes, path), longest unused first."""
        entries = []
        for path in self.folder.glob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):  # another process made room
                stat = path.stat()
                entries.append((stat.st_mtime_ns, stat.st_size, path))
        return sorted(entries)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    @property
    def _settings(self) -> Path:
        return self.folder / "settings.json"


def _pack(tensor: Tensor, key: str) -> bytes:
    tensor = tensor.detach().to("cpu").contiguous()
    return safetensors.torch.save({_NAME: tensor}, {"key": key, "sha256": checksum(tensor)})


def _unpack(data: bytes, key: str) -> Tensor:
    try:
        tensor = safetensors.torch.load(data)[_NAME]
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"no whole file: {error}") from error
    if metadata.get("key") != key or metadata.get("sha256") != checksum(tensor):
        raise ValueError("its checksum does not fit")
    if not tensor.isfinite().all():  # kept by versions that did not look
        raise ValueError("it holds numbers that are not finite")
    return tensor


def checksum(tensor: Tensor) -> str:
    """sha256 of a tensor's dtype, shape and bytes. Expects a contiguous tensor in main memory."""
    digest = hashlib.sha256(f"{tensor.dtype}{list(tensor.shape)}".encode())
    digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
