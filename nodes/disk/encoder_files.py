"""Facts about a text encoder's file (digest, layout), recorded when it was last read, so that it need not be opened.

A 9.8 GB file is hashed once, in pieces on all cores, and opened again only when its weights are needed. The record is
valid while the file's size, times and inode are unchanged. Except on Windows, ctime is the time of the last change and
cannot be set back, so a replaced file is always noticed. On Windows ctime is the creation time: a file that is
overwritten in place by one of the same size, and whose mtime is then set back, is not noticed. An ordinary copy or
download changes the mtime.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .atomic import write_whole

log = logging.getLogger("flux_duet")

_PIECE = 64 * 2**20  # bytes; pieces are hashed in parallel


def stat_of(path: str | Path) -> list[int]:
    """A file's identity: size in bytes, mtime and ctime in ns, inode, device. Raises OSError.

    The module's docstring says which changes it detects.
    """
    stat = os.stat(path)
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]


def digest_of(path: str | Path) -> str:
    """sha256 (hex) of the concatenated sha256 digests of the file's 64 MiB pieces."""
    starts = range(0, max(os.path.getsize(path), 1), _PIECE)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pieces = list(pool.map(lambda start: _piece(path, start), starts))
    return hashlib.sha256(b"".join(pieces)).hexdigest()


def _piece(path: str | Path, start: int) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(start)
        left = _PIECE
        while left and (data := file.read(min(left, 2**20))):
            digest.update(data)
            left -= len(data)
    return digest.digest()


@dataclass(frozen=True)
class EncoderFile:
    """One version of one file. `records` is the folder of the records, one JSON file per encoder file."""

    path: str
    stat: tuple[int, ...]
    records: Path

    @classmethod
    def at(cls, path: str, records: str | Path) -> EncoderFile:
        """The file's present version. Raises OSError if there is none."""
        real = os.path.realpath(path)
        return cls(real, tuple(stat_of(real)), Path(records))

    def recall(self) -> dict:
        """The recorded facts about this version; {} if there is no record, or only one of another version."""
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            return record["known"] if record["stat"] == list(self.stat) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def learn(self, **known) -> None:
        """Adds facts to the record. If the disk is full or read-only, logs a warning; they will be computed again."""
        known = {**self.recall(), **known}
        text = json.dumps({"path": self.path, "stat": self.stat, "known": known})
        try:
            write_whole(self._record, text.encode())
        except OSError as error:
            log.warning("The facts about %s could not be recorded: %s", self.path, error)

    def digest(self) -> str | None:
        """The content's digest, from the record or by reading; None if the file is no longer this version."""
        if known := self.recall().get("digest"):
            return known
        if not self.is_current():
            return None
        try:
            digest = digest_of(self.path)
        except OSError as error:  # a failing disk; reading the weights will raise
            log.warning("%s cannot be read: %s", os.path.basename(self.path), error.strerror)
            return None
        if not self.is_current():
            return None
        self.learn(digest=digest)
        return digest

    def is_current(self) -> bool:
        """Whether the file at this path is still this version."""
        try:
            return tuple(stat_of(self.path)) == self.stat
        except OSError:
            return False

    @property
    def _record(self) -> Path:
        return self.records / (hashlib.sha256(self.path.encode()).hexdigest()[:32] + ".json")
