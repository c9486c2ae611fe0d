"""Queues a prompt on a running server and follows it over the WebSocket. Needs aiohttp, which ComfyUI brings."""

import asyncio
import io
import json
import sys
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from . import SetupError, say

if TYPE_CHECKING:
    from .server import Server

Event = Callable[[str, dict[str, Any]], None]


class RunFailed(RuntimeError):
    """A prompt that ComfyUI rejected or could not finish; `.result` has the result."""

    def __init__(self, result: "RunResult"):
        super().__init__(result.why())
        self.result = result


class ServerGone(Exception):
    """The WebSocket closed before the prompt's end."""


def as_command(main: Callable[[], None]) -> None:
    """Runs a command's `main`; an error that the user can fix is one line and exit status 1, an interruption 130."""
    try:
        main()
    except (SetupError, RunFailed, OSError) as error:
        say(f"error: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@dataclass
class RunResult:
    """The result of a prompt. `status` is success, error, interrupted or rejected."""

    prompt_id: str = ""
    status: str = "success"
    error: dict[str, Any] | None = None
    node_errors: dict[str, Any] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, list[bytes]] = field(default_factory=dict, repr=False)
    progress: list[tuple[str, int, int]] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list, repr=False)

    def did_run(self, node: str) -> bool:
        return node in self.executed

    def was_cached(self, node: str) -> bool:
        return node in self.cached

    def images(self, node: str | None = None) -> list:
        """The PIL images of one node, or of all nodes."""
        from PIL import Image

        chosen = [self.files.get(node, [])] if node else self.files.values()
        return [Image.open(io.BytesIO(data)) for files in chosen for data in files]

    def why(self) -> str:
        """The error message."""
        error = self.error or {}
        lines = [f"{self.status}: {error.get('exception_message') or error.get('message') or error}".strip()]
        if "node_type" in error:
            lines.append(f"in node {error.get('node_id')} ({error['node_type']})")
        for node, wrong in self.node_errors.items():
            lines += [
                f"node {node} ({wrong['class_type']}): {each['message']} {each['details']}" for each in wrong["errors"]
            ]
        lines.append("".join(error.get("traceback") or []))
        return "\n".join(line for line in lines if line)


def run(
    server: "Server",
    prompt: dict[str, Any],
    *,
    check: bool = True,
    timeout: float = 600,
    on_event: Event | None = None,
    extra: dict[str, Any] | None = None,
) -> RunResult:
    """Runs an API-format prompt to its end. Raises RunFailed unless it succeeded or `check` is off.

    on_event(kind, data) sees every message as it comes, for instance to interrupt. extra joins the request:
    {"partial_execution_targets": [...]}, {"extra_data": {...}}.
    """
    job = Job(server, prompt, on_event, extra or {})
    # In a separate thread, because the caller's may already have an event loop, as Playwright's.
    thread = threading.Thread(target=job.follow_blocking, args=(timeout,), daemon=True)
    thread.start()
    thread.join()
    if job.failure:
        raise job.failure
    if check and (job.result.status != "success" or job.result.node_errors):
        raise RunFailed(job.result)
    return job.result


class Job:
    """A prompt that is running."""

    def __init__(self, server: "Server", prompt: dict[str, Any], on_event: Event | None, extra: dict[str, Any]):
        self.server, self.on_event = server, on_event
        self.request = {"prompt": prompt, "client_id": str(uuid.uuid4()), **extra}
        self.client_id = self.request["client_id"]
        self.result = RunResult()
        self.failure: BaseException | None = None

    def follow_blocking(self, timeout: float) -> None:
        try:
            asyncio.run(asyncio.wait_for(self.follow(), timeout))
        except asyncio.TimeoutError:
            self.failure = SetupError(f"the prompt did not end within {timeout:.0f} s:\n{self.server.tail()}")
        except (aiohttp.ClientConnectionError, ServerGone):
            self.failure = SetupError(f"ComfyUI broke off ({self.server.state()}):\n{self.server.tail()}")
        except BaseException as error:  # raised again in the caller's thread
            self.failure = error

    async def follow(self) -> None:
        async with aiohttp.ClientSession() as session:
            address = f"{self.server.url}/ws?clientId={self.client_id}"
            async with session.ws_connect(address, max_msg_size=0) as socket:
                await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
                async with session.post(f"{self.server.url}/prompt", json=self.request) as answer:
                    if not self.accepted(answer.status, await answer.json()):
                        return
                await self.listen(socket)
            await self.collect(session)

    def accepted(self, status: int, answer: dict[str, Any]) -> bool:
        self.result.node_errors = answer.get("node_errors") or {}
        self.result.prompt_id = answer.get("prompt_id", "")
        if status != 200:
            self.result.status, self.result.error = "rejected", answer.get("error")
        return status == 200

    async def listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                self.result.previews.append(message.data)
                continue
            event = json.loads(message.data)
            kind, data = event["type"], event.get("data") or {}
            if data.get("prompt_id", self.result.prompt_id) != self.result.prompt_id:
                continue
            self.note(kind, data)
            if self.on_event:
                self.on_event(kind, data)
            # Always the last message, sent after the history is written.
            if kind == "executing" and data.get("node") is None:
                return
        raise ServerGone

    def note(self, kind: str, data: dict[str, Any]) -> None:
        result = self.result
        if kind == "executing" and data.get("node") is not None:
            result.executed.append(data["node"])
        elif kind == "execution_cached":
            result.cached += data["nodes"]
        elif kind == "progress":
            result.progress.append((data.get("node"), data["value"], data["max"]))
        elif kind == "execution_error":
            result.status, result.error = "error", data
        elif kind == "execution_interrupted":
            result.status, result.error = "interrupted", data

    async def collect(self, session: aiohttp.ClientSession) -> None:
        """The outputs from the history, and the files that they name."""
        async with session.get(f"{self.server.url}/history/{self.result.prompt_id}") as answer:
            history = (await answer.json()).get(self.result.prompt_id, {})
        self.result.outputs = history.get("outputs", {})
        for node, output in self.result.outputs.items():
            for image in output.get("images", []):
                query = urllib.parse.urlencode({name: image[name] for name in ("filename", "subfolder", "type")})
                async with session.get(f"{self.server.url}/view?{query}") as answer:
                    answer.raise_for_status()
                    self.result.files.setdefault(node, []).append(await answer.read())
