"""The embedding store: encodings on disk, each a .safetensors named by the digest of all that it depends on.

An entry never changes and is written atomically, so several processes may write the same one. Its checksum is verified
on reading; a damaged entry counts as absent and is replaced. Above the size limit the least recently used entries are
removed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from ...disk.atomic import write_whole
from ...disk.bounded_folder import empty, in_the_way, kept_files, make_room, remove, unfinished_bytes
from ...disk.checksums import checksum
from ...disk.metadata import metadata_of
from .choices import Settings

log = logging.getLogger("flux_duet")

VERSION = 2  # part of every key: increase it when CLIP-L Encode or T5 Encode give other results for the same tokens
_NAME = "embedding"


@dataclass(frozen=True)
class Store:
    """A folder of encodings."""

    folder: Path

    def settings(self) -> Settings:
        """The settings as last set; the defaults if there are none or they cannot be read."""
        try:
            text = self._set_text()
            return Settings() if text is None else _parsed(text)
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read (%s); the embedding store uses its defaults.", self._settings, error)
            return Settings()

    def set(self, settings: Settings) -> None:
        """Sets the settings for all runs, and applies the limit. Raises OSError if new settings cannot be written."""
        text = json.dumps(asdict(settings))
        try:
            before = self._set_text()
        except (OSError, ValueError):
            before = ""
        if before != text and (before is not None or settings != Settings()):
            write_whole(self._settings, text.encode())
        make_room(self.folder, settings.limit_mb * 10**6)

    def get(self, key: str) -> Tensor | None:
        """The encoding with this key; None if there is none, or only a damaged one, which is removed."""
        path = self._path(key)
        if in_the_way(path) and not remove(path):
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        try:
            tensor = _unpack(data, key)
        except ValueError as error:
            log.warning("The embedding store's %s is damaged (%s); the prompt is encoded again.", path.name, error)
            remove(path)
            return None
        with contextlib.suppress(OSError):  # removed meanwhile, or a read-only disk; the encoding is valid
            os.utime(path)
        return tensor

    def put(self, key: str, tensor: Tensor) -> None:
        """Stores an encoding, unless it is not finite. If the disk is full or read-only, only logs a warning."""
        if not tensor.isfinite().all():
            return
        try:
            write_whole(self._path(key), _pack(tensor, key))
            make_room(self.folder, self.settings().limit_mb * 10**6)
        except OSError as error:
            log.warning("The embedding store could not store an encoding: %s", error)

    def size(self) -> tuple[int, int]:
        """(number of encodings, bytes that the store takes)."""
        found = kept_files(self.folder)
        return sum(each.used > 0 for each in found), sum(each.size for each in found) + unfinished_bytes(self.folder)

    def empty(self) -> int:
        """Removes all encodings; returns how many files could not be removed (in use, or a read-only disk)."""
        return empty(self.folder)

    def _set_text(self) -> str | None:
        """The text of the settings' file; None if there is none. Raises OSError or ValueError if it cannot be read."""
        if not self._settings.exists():
            return None
        if not self._settings.is_file():  # opening a pipe would block
            raise ValueError("it is not a file")
        return self._settings.read_text(encoding="utf-8")

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    @property
    def _settings(self) -> Path:
        return self.folder / "settings.json"


def _parsed(text: str) -> Settings:
    """Settings from JSON; the limit may be any finite number. Raises ValueError for anything else."""
    try:
        given = json.loads(text)
        on, limit = given["on"], given["limit_mb"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("expected a JSON object with `on` and `limit_mb`") from error
    if not isinstance(on, bool) or isinstance(limit, bool) or not isinstance(limit, int | float):
        raise ValueError(f"got {on!r:.40} and {limit!r:.40}, expected true or false and a number of MB")
    if not abs(limit) <= sys.maxsize:  # NaN, infinity, and integers beyond a float's range
        raise ValueError(f"got {limit!r:.40} for `limit_mb`, expected a finite number of MB")
    return Settings(on=on, limit_mb=max(0, int(limit)))


def _pack(tensor: Tensor, key: str) -> bytes:
    tensor = tensor.detach().to("cpu").contiguous()
    return safetensors.torch.save({_NAME: tensor}, {"key": key, "sha256": checksum(tensor)})


def _unpack(data: bytes, key: str) -> Tensor:
    try:
        tensor = safetensors.torch.load(data)[_NAME]
        metadata = metadata_of(data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"incomplete: {error}") from error
    if metadata.get("key") != key or metadata.get("sha256") != checksum(tensor):
        raise ValueError("wrong checksum")
    if not tensor.isfinite().all():  # stored by versions that did not check
        raise ValueError("values that are not finite")
    return tensor
