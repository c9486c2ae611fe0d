"""A lock on a file, held by the operating system, which releases it when the process ends."""

import os
import time
from pathlib import Path

from . import say

if os.name == "nt":
    import msvcrt

    # Windows makes locked bytes unreadable, so a byte far after the process id, which others read, is locked.
    LOCKED_BYTE = 1 << 20

    def _try_lock(fd: int) -> None:
        os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """`with Lock(path):` waits until no other process holds the lock, and prints once which process holds it.

    Child processes that inherit `fd` keep the lock with them: a pip that outlives its killed parent still counts.
    """

    def __init__(self, path: Path, poll: float = 0.5):
        self.path, self.poll, self.fd = path, poll, -1

    def __enter__(self) -> "Lock":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        reported = False
        while not self._take():
            if not reported:
                say(f"Waiting for another set-up (process {self._holder()}) to finish ...")
                reported = True
            time.sleep(self.poll)
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)
        os.write(self.fd, str(os.getpid()).encode())
        return self

    def __exit__(self, *exc) -> None:
        os.close(self.fd)  # closing unlocks; the file is kept, because waiting processes have it open
        self.fd = -1

    def _take(self) -> bool:
        try:
            _try_lock(self.fd)
        except OSError:
            return False
        return True

    def _holder(self) -> str:
        os.lseek(self.fd, 0, os.SEEK_SET)
        return os.read(self.fd, 20).decode(errors="replace") or "unknown"
