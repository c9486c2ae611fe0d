"""What is in an encoder's file, known without opening it: by its stat, from a record made when it was last read.

A 9.8 GB file is hashed once, in pieces on all cores, and opened again only when its weights are needed. The record is
believed while the file's size, times and inode are those it had then. Where ctime is the time of the last change
(everywhere but on Windows) it cannot be set back, and an exchanged file is a new one. On Windows it is the time of the
file's making: there, a file that is overwritten in place by one of the same size, whose time of change is then set back
to the old one's, is taken for the old one. An ordinary copy or download leaves another time.
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

_PIECE = 64 * 2**20  # bytes; the digest is of the pieces' digests, so that all cores take part


def stat_of(path: str | Path) -> list[int]:
    """What tells this file from what stood there before: size, both times in ns, inode and device.

    What each system's times promise is told above.
    """
    stat = os.stat(path)
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]


def digest_of(path: str | Path) -> str:
    """sha256 over the sha256 of each 64 MiB of the file."""
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
    """One version of one file. `records` is the folder in which is kept what was learned of it."""

    path: str
    stat: tuple[int, ...]
    records: Path

    @classmethod
    def at(cls, path: str, records: str | Path) -> EncoderFile:
        real = os.path.realpath(path)
        return cls(real, tuple(stat_of(real)), Path(records))

    def recall(self) -> dict:
        """What is known of this version; empty where there is no record, or one of another version."""
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            return record["known"] if record["stat"] == list(self.stat) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def learn(self, **known) -> None:
        """Keeps what was found; where the disk is full or read-only, it will have to be found again."""
        known = {**self.recall(), **known}
        text = json.dumps({"path": self.path, "stat": self.stat, "known": known})
        try:
            write_whole(self._record, text.encode())
        except OSError as error:
            log.warning("What was found in %s could not be kept: %s", self.path, error)

    def digest(self) -> str | None:
        """The content's digest, from the record or by reading; None where the file is no longer this version."""
        if known := self.recall().get("digest"):
            return known
        if not self.is_there():
            return None
        try:
            digest = digest_of(self.path)
        except OSError as error:  # a disk that fails; whoever reads the weights will say so
            log.warning("%s cannot be read: %s", os.path.basename(self.path), error.strerror)
            return None
        if not self.is_there():
            return None
        self.learn(digest=digest)
        return digest

    def is_there(self) -> bool:
        """Whether the file at this path still is the version that this stands for."""
        try:
            return tuple(stat_of(self.path)) == self.stat
        except OSError:
            return False

    @property
    def _record(self) -> Path:
        return self.records / (hashlib.sha256(self.path.encode()).hexdigest()[:32] + ".json")
