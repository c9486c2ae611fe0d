"""A real ComfyUI server with this pack, and functions for requests to it. Runs inside the environment."""

import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import ROOT, SetupError, client
from .inside import COMFYUI, has_accelerator

PACK = "flux-duet"
# ComfyUI's log messages for a pack that failed to load; ComfyUI starts without it.
BROKEN = ("IMPORT FAILED", "Cannot import", "Error while calling comfy_entrypoint")
# Only for this machine, so without a proxy from the environment.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# Below the ephemeral ports, one of which an outgoing connection or another process could get while ComfyUI starts,
# which takes seconds.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A random free port, so that servers that start at the same time get different ones."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def link_folder(link: Path, target: Path) -> None:
    """A symlink; on Windows, where those need a privilege, a directory junction."""
    link.parent.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":
        subprocess.run(["cmd", "/c", "mklink", "/J", str(link), str(target)], check=True, capture_output=True)
    else:
        link.symlink_to(target, target_is_directory=True)


class Server:
    """`with Server() as server:` starts a server at `server.url`, with its own folders, which are deleted with it.

    packs            custom node folders to load, by the name they are linked under
    model_folders    extra model folders: {"text_encoders": folder, ...}
    base             a folder for user, input, output and temp files that stays; a temporary one if not given
    args             more of ComfyUI's own arguments
    """

    def __init__(
        self,
        *,
        packs: Mapping[str, Path] | None = None,
        port: int | None = None,
        model_folders: Mapping[str, Path] | None = None,
        base: Path | None = None,
        args: Sequence[str] = (),
    ):
        self.comfyui = Path(os.environ[COMFYUI])
        self.packs = dict(packs or {PACK: ROOT})
        self.model_folders = dict(model_folders or {})
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.scratch = Path(tempfile.mkdtemp(prefix="flux-duet-"))
        self.base = Path(base) if base else self.scratch
        self.log_file = self.scratch / "server.log"
        self.args = list(args)
        self.process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        """ComfyUI's command line. ComfyUI's own folder is not changed: ours are added by a file of extra paths."""
        for pack, folder in self.packs.items():
            link_folder(self.scratch / "custom_nodes" / pack, folder)
        paths = {
            "flux_duet": {
                "custom_nodes": str(self.scratch / "custom_nodes"),
                **{kind: str(folder) for kind, folder in self.model_folders.items()},
            }
        }
        config = self.scratch / "extra_model_paths.yaml"
        config.write_text(json.dumps(paths), encoding="utf-8")  # JSON is YAML
        command = [
            sys.executable,
            str(self.comfyui / "main.py"),
            "--listen",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--extra-model-paths-config",
            str(config),
            "--disable-auto-launch",
            "--disable-api-nodes",
            "--disable-all-custom-nodes",
            "--whitelist-custom-nodes",
            *self.packs,
            "--database-url",
            "sqlite:///:memory:",
        ]
        for kind in ("user", "input", "output", "temp"):
            (self.base / kind).mkdir(parents=True, exist_ok=True)
            command += [f"--{kind}-directory", str(self.base / kind)]
        return command + ([] if has_accelerator() else ["--cpu"]) + self.args

    def start(self, timeout: float = 180) -> "Server":
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.scratch
            )
        try:
            self._wait(time.monotonic() + timeout, timeout)
        except BaseException:
            self.stop()
            raise
        return self

    def _wait(self, deadline: float, timeout: float) -> None:
        while True:
            try:
                self.get("/system_stats", timeout=5)
                if self.alive():  # else another server responds at this port
                    break
            except (urllib.error.URLError, OSError):
                pass
            if not self.alive():
                raise SetupError(f"ComfyUI ended with code {self.process.returncode} while starting:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise SetupError(f"ComfyUI did not answer within {timeout:.0f} s:\n{self.tail()}")
            time.sleep(0.2)
        if any(sign in self.log() for sign in BROKEN):
            raise SetupError(f"ComfyUI started, but could not load a pack:\n{self.tail(60)}")

    def stop(self) -> None:
        """Stops the server and deletes its folders, links first, so that their targets are kept."""
        if self.process and self.alive():
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pack in self.packs:
            link = self.scratch / "custom_nodes" / pack
            if os.path.lexists(link):
                os.rmdir(link) if os.name == "nt" else os.unlink(link)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *exc) -> None:
        self.stop()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def state(self) -> str:
        return "still running" if self.alive() else f"ended with code {self.process.poll() if self.process else None}"

    def log(self) -> str:
        """The server's output so far, without colour codes."""
        if not self.log_file.exists():
            return ""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log_file.read_text(encoding="utf-8", errors="replace"))

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log().splitlines()[-lines:])

    def run(self, prompt: dict[str, Any], **options) -> client.RunResult:
        """Runs an API-format prompt to its end; options as in client.run: check, timeout, on_event, extra."""
        return client.run(self, prompt, **options)

    def get(self, path: str, timeout: float = 60):
        """GET, parsed if it is JSON, bytes otherwise."""
        with OPENER.open(f"{self.url}{path}", timeout=timeout) as answer:
            body = answer.read()
            return json.loads(body) if "json" in answer.headers.get("Content-Type", "") else body

    def post(self, path: str, data: dict | None = None, timeout: float = 60):
        request = urllib.request.Request(
            f"{self.url}{path}", data=json.dumps(data or {}).encode(), headers={"Content-Type": "application/json"}
        )
        with OPENER.open(request, timeout=timeout) as answer:
            body = answer.read()
            return json.loads(body) if body else None
