"""A headless ComfyUI of the user's installation, as a child process on a loopback port. Pure.

Ray sends this file's classes to the workers by value, so it imports only the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

# The child reads its stdin, a pipe from the worker, and ends when that closes: also if the worker is killed.
LAUNCH = """
import os, runpy, sys, threading
def end():
    while os.read(0, 1):
        pass
    os._exit(1)
threading.Thread(target=end, daemon=True).start()
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""
START = 300  # seconds that ComfyUI may take to start
OLD = 24 * 3600  # seconds after which the folder of a killed worker is removed where it is unknown whether it lives
TAIL = 40  # lines of the log in an error
FOLDERS = ("input", "output", "temp")
# Without a proxy from the environment, for this machine only.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerFault(RuntimeError):
    """ComfyUI could not be started, or has ended; the message has the end of its log."""


class ComfyServer:
    """`ensure()` starts it, or starts it again if it has ended. Its folders are its own; models are the user's.

    `comfyui` is the folder with main.py, `cpu` whether it uses no GPU, `arguments` are more command-line arguments.
    """

    def __init__(self, comfyui: str, cpu: bool, arguments: list[str]):
        self.main = Path(os.path.expandvars(os.path.expanduser(comfyui))) / "main.py"
        self.cpu, self.arguments = cpu, arguments
        root = Path(tempfile.gettempdir()) / f"flux_duet_ray_{getattr(os, 'getuid', int)()}"
        root.mkdir(mode=0o700, exist_ok=True)
        _remove_old(root)
        self.user = root / "user"  # shared by the workers of a machine: it holds the digests of model files
        self.base = Path(tempfile.mkdtemp(prefix=f"worker_{os.getpid()}_", dir=root))
        self.log = self.base / "comfyui.log"
        self.process: subprocess.Popen | None = None
        self.port, self.starts = 0, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def folder(self, kind: str) -> Path:
        """The folder of a kind of files: "input", "output" or "temp"."""
        return self.base / kind

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ensure(self) -> None:
        """Returns when the server answers. Raises ServerFault if it does not start."""
        if self.alive():
            return
        if not self.main.is_file():
            raise ServerFault(f"there is no ComfyUI in {self.main.parent} (no main.py); set `ComfyUI folder`")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.starts += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self.base, env=self.variables()
            )
        self._wait(time.monotonic() + START)

    def command(self) -> list[str]:
        command = [sys.executable, "-c", LAUNCH, str(self.main), "--listen", "127.0.0.1", "--port", str(self.port)]
        command += ["--disable-auto-launch", "--database-url", "sqlite:///:memory:", "--user-directory", str(self.user)]
        for kind in FOLDERS:
            self.folder(kind).mkdir(parents=True, exist_ok=True)
            # ComfyUI makes its temp folder in the one that is named.
            command += [f"--{kind}-directory", str(self.base if kind == "temp" else self.folder(kind))]
        self.user.mkdir(parents=True, exist_ok=True)
        return command + (["--cpu"] if self.cpu and "--cpu" not in self.arguments else []) + self.arguments

    def variables(self) -> dict[str, str]:
        """The environment. Ray sets OMP_NUM_THREADS to a worker's cores; one with a GPU may use all of them."""
        variables = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if not self.cpu:
            variables.pop("OMP_NUM_THREADS", None)
        return variables

    def _wait(self, deadline: float) -> None:
        while True:
            with contextlib.suppress(OSError):
                self.request("/system_stats", timeout=5)
                if self.alive():  # else another server answers at this port
                    return
            if not self.alive():
                raise ServerFault(f"ComfyUI exited with code {self.process.poll()} during startup:\n{self.tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServerFault(f"ComfyUI did not answer within {START} s:\n{self.tail()}")
            time.sleep(0.1)

    def request(self, path: str, body: Any = None, timeout: float = 60) -> Any:
        """The JSON answer of a GET, or of a POST if there is a body. Raises OSError; urllib's errors are such."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"})
        with OPENER.open(request, timeout=timeout) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def tail(self, lines: int = TAIL) -> str:
        """The end of ComfyUI's log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        return ""

    def stop(self) -> None:
        """Ends the server and removes its folders."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
        shutil.rmtree(self.base, ignore_errors=True)


def _remove_old(root: Path) -> None:
    """Removes the folders of workers that were killed: those of a living worker have its process id in their names."""
    for path in root.glob("worker_*"):
        with contextlib.suppress(OSError):
            if _is_gone(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_gone(path: Path) -> bool:
    pid = path.name.split("_")[1]
    if os.name == "nt" or not pid.isdecimal():  # on Windows there is no signal that only asks
        return time.time() - path.stat().st_mtime > OLD
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    return False
