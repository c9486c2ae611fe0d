"""The embedding store: encodings on disk, each a .safetensors under the digest of all that went into it.

An entry never changes, so two processes may write the same one, and a reader sees a whole file or none. Its checksum
is verified on reading; a damaged entry counts as absent and is written anew. Past the limit the entries that were not
used for longest go first.
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
from ...disk.bounded_folder import empty, in_the_way, kept, make_room, remove, unfinished
from ...disk.checksums import checksum
from ...disk.metadata import metadata_of
from .choices import Settings

log = logging.getLogger("flux_duet")

VERSION = 2  # of what CLIP-L Encode and T5 Encode compute: raise it when the same tokens give other numbers
_NAME = "embedding"


@dataclass(frozen=True)
class Store:
    """A folder of encodings."""

    folder: Path

    def settings(self) -> Settings:
        """As last set; the defaults where nothing, or nothing readable, was."""
        try:
            text = self._set_text()
            return Settings() if text is None else _parsed(text)
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read (%s); the embedding store uses its defaults.", self._settings, error)
            return Settings()

    def set(self, settings: Settings) -> None:
        """For all runs. Raises OSError where they are others than before, and cannot be written."""
        text = json.dumps(asdict(settings))
        try:
            before = self._set_text()
        except (OSError, ValueError):
            before = ""
        if before != text and (before is not None or settings != Settings()):
            write_whole(self._settings, text.encode())
        make_room(self.folder, settings.limit_mb * 10**6)

    def get(self, key: str) -> Tensor | None:
        """The encoding under this key; None where there is none, or a damaged one, which is taken away."""
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
            log.warning("The embedding store's %s is damaged (%s) and is encoded anew.", path.name, error)
            remove(path)
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
            make_room(self.folder, self.settings().limit_mb * 10**6)
        except OSError as error:
            log.warning("The embedding store could not keep an encoding: %s", error)

    def size(self) -> tuple[int, int]:
        """How many encodings there are, and the bytes of all that the store takes."""
        found = kept(self.folder)
        return sum(each.used > 0 for each in found), sum(each.size for each in found) + unfinished(self.folder)

    def empty(self) -> int:
        """How much could not be taken away, as another program reads it or the disk is read-only."""
        return empty(self.folder)

    def _set_text(self) -> str | None:
        """The settings' file; None where there is none. Raises OSError and ValueError where it cannot be read."""
        if not self._settings.exists():
            return None
        if not self._settings.is_file():  # a pipe would be waited for
            raise ValueError("it is no file")
        return self._settings.read_text(encoding="utf-8")

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    @property
    def _settings(self) -> Path:
        return self.folder / "settings.json"


def _parsed(text: str) -> Settings:
    """Raises ValueError for anything but what `set` writes, and a limit in other numbers."""
    try:
        given = json.loads(text)
        on, limit = given["on"], given["limit_mb"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("expected a JSON object with `on` and `limit_mb`") from error
    if not isinstance(on, bool) or isinstance(limit, bool) or not isinstance(limit, int | float):
        raise ValueError(f"got {on!r:.40} and {limit!r:.40}, expected true or false and a number of MB")
    if not abs(limit) <= sys.maxsize:  # NaN and infinity, and whole numbers that no float holds
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
        raise ValueError(f"no whole file: {error}") from error
    if metadata.get("key") != key or metadata.get("sha256") != checksum(tensor):
        raise ValueError("its checksum does not fit")
    if not tensor.isfinite().all():  # kept by versions that did not look
        raise ValueError("it holds numbers that are not finite")
    return tensor
