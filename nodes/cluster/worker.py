"""A worker: owns one ComfyUI, runs API workflows on it, and starts it again if it ends. Pure.

Ray sends these classes to the worker by value, so a worker needs nothing of this pack but what its ComfyUI loads. It
runs in ComfyUI's Python, which has aiohttp.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import platform
import threading
import time
import uuid
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from .server import FOLDERS, ComfyServer, ServerFault

KEEP = 120.0  # seconds without a call after which a worker ends, and frees its GPU
CELL = "flux_duet_cell"  # the key of a node's `ui` whose `file` in the temp folder comes home


class CellFault(RuntimeError):
    """A workflow that ComfyUI refused or could not finish; the message has the reason and the end of the log."""


class Worker:
    """Its methods are called by Ray, several at once: `run` blocks, the others answer during a run."""

    def __init__(self, comfyui: str, cpu: bool, arguments: list[str], keep: float = KEEP):
        self.server = ComfyServer(comfyui, cpu, arguments)
        self.lock = threading.Lock()
        self.current: Run | None = None
        self.keep, self.used = keep, time.monotonic()
        threading.Thread(target=self._end_when_idle, daemon=True).start()

    def describe(self, files: list[str], nodes: list[str]) -> dict[str, Any]:
        """Versions, machine, digests of model files by name, and which of these node types are missing."""
        with self._called():
            self.server.ensure()
            try:
                facts = self.server.request("/flux_duet/worker", {"files": files}, timeout=3600)
            except OSError as error:
                facts = {"fault": f"Flux Duet does not work in its ComfyUI ({error}):\n{self.server.tail()}"}
            missing = [name for name in nodes if not self.server.request(f"/object_info/{quote(name, safe='')}")]
            own = {"host": platform.node(), "pid": os.getpid(), "server": self.server.process.pid}
            return {**facts, **own, "missing": missing}

    def run(self, prompt: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
        """The result of an API workflow: `ui` of each node, and the bytes of the files that CELL names.

        `files` are "input/name" -> bytes, or Ray's reference to them. A run that began earlier is interrupted: its
        driver is gone. Raises CellFault or ServerFault.
        """
        self.interrupt()
        self.current = mine = Run(self.server, prompt)
        with self.lock, self._called():
            try:
                self.server.ensure()
                self._bring(files)
                started = time.monotonic()
                outputs = asyncio.run(mine.followed())
            finally:
                self.current = None if self.current is mine else self.current
            home = {name: self._taken(name) for name in _files(outputs)}
            return {"ui": outputs, "files": home, "seconds": time.monotonic() - started, "host": platform.node()}

    def interrupt(self) -> None:
        """Stops the present run, if there is one."""
        if (current := self.current) is not None:
            current.stop()

    def progress(self) -> tuple[int, int]:
        """(step, steps) of the present run."""
        self.used = time.monotonic()
        return (0, 0) if (current := self.current) is None else current.step

    def stop(self) -> None:
        """Ends ComfyUI; the caller then ends the worker."""
        self.server.stop()

    # ---- files

    def _bring(self, files: dict[str, Any]) -> None:
        for name, data in files.items():
            path = self._path(name)
            if path.exists():  # named by its content
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_fetched(data))

    def _path(self, name: str) -> Path:
        kind, *parts = PurePosixPath(name).parts
        if kind not in FOLDERS or not parts or ".." in parts:
            raise CellFault(f"{name!r} is not a valid path for a worker's file")
        return self.server.folder(kind).joinpath(*parts)

    def _taken(self, name: str) -> bytes:
        path = self._path(f"temp/{name}")
        data = path.read_bytes()
        path.unlink()
        return data

    # ---- its end

    @contextlib.contextmanager
    def _called(self):
        self.used = float("inf")
        try:
            yield
        finally:
            self.used = time.monotonic()

    def _end_when_idle(self) -> None:
        while time.monotonic() - self.used < self.keep:
            time.sleep(min(5.0, self.keep / 4))
        self.server.stop()
        _exit()


class Run:
    """One workflow on a worker's ComfyUI. Apart from Worker: Ray calls an actor with coroutines in another way."""

    def __init__(self, server: ComfyServer, prompt: dict[str, Any]):
        self.server, self.prompt, self.id = server, prompt, ""
        self.step: tuple[int, int] = (0, 0)
        self.stopped = False

    def stop(self) -> None:
        """Ends the run at ComfyUI's next look for an interruption; one that has not begun ends when it begins."""
        self.stopped = True
        if self.id and self.server.alive():
            with contextlib.suppress(OSError):
                self.server.request("/interrupt", {}, timeout=5)

    async def followed(self) -> dict[str, Any]:
        """The `ui` of each node, when the run has ended well."""
        aiohttp = importlib.import_module("aiohttp")
        client, url = uuid.uuid4().hex, self.server.url
        try:
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(f"{url}/ws?clientId={client}", max_msg_size=0) as socket:
                    await self._queued(session, client)
                    await self._listened(socket, session)
                async with session.get(f"{url}/history/{self.id}") as answer:
                    return (await answer.json())[self.id]["outputs"]
        except aiohttp.ClientError as error:
            raise self._gone(error) from None

    async def _queued(self, session, client: str) -> None:
        if self.stopped:
            raise CellFault("interrupted")
        body = {"prompt": self.prompt, "client_id": client}
        async with session.post(f"{self.server.url}/prompt", json=body) as answer:
            told = await answer.json()
        if answer.status != 200 or told.get("node_errors"):
            raise CellFault(f"ComfyUI rejected the workflow: {json.dumps(told)[:2000]}")
        self.id = told["prompt_id"]

    async def _listened(self, socket, session) -> None:
        """Returns when the run has ended well."""
        async for message in socket:
            if not isinstance(message.data, str):  # a preview
                continue
            event = json.loads(message.data)
            kind, data = event["type"], event.get("data") or {}
            if data.get("prompt_id", self.id) != self.id:
                continue
            if self.stopped and kind in ("execution_start", "executing", "progress"):
                # ComfyUI forgets an interruption from before the run began.
                async with session.post(f"{self.server.url}/interrupt", json={}):
                    pass
            if kind == "progress":
                self.step = data["value"], data["max"]
            elif kind == "execution_error":
                raise CellFault(f"{data.get('node_type')}: {data.get('exception_message')}\n{self.server.tail()}")
            elif kind == "execution_interrupted":
                raise CellFault("interrupted")
            elif kind == "executing" and data.get("node") is None:
                return
        raise self._gone("the connection closed")

    def _gone(self, error: Any) -> ServerFault:
        with contextlib.suppress(Exception):
            self.server.process.wait(5)
        code = None if self.server.process is None else self.server.process.poll()
        return ServerFault(f"ComfyUI stopped unexpectedly ({error}; exit code {code}):\n{self.server.tail()}")


def _files(outputs: dict[str, Any]) -> list[str]:
    return [each["file"] for ui in outputs.values() for each in ui.get(CELL, ()) if "file" in each]


def _fetched(data: Any) -> bytes:
    if isinstance(data, bytes):
        return data
    return importlib.import_module("ray").get(data)


def _exit() -> None:
    """Ends this worker for good, so that Ray does not start it again."""
    ray = importlib.import_module("ray")
    ray.kill(ray.get_runtime_context().current_actor, no_restart=True)
