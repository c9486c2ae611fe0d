"""Common code of the JSON routes: checks requests, and answers them in a thread. Imports ComfyUI.

The server's event loop and our thread share one interpreter. The thread gives way every five milliseconds, but not
inside a call of C code. So requests are parsed in our thread, and responses are encoded in pieces. There is one thread:
the event loop would wait in line with each further one, and together they would answer no sooner. Garbage collection is
off during a request, because it would stop all threads while it scans all of ComfyUI's objects.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore, Lock
from typing import Any

from aiohttp import ClientPayloadError, http_exceptions, web

MOST_BYTES = 2**19  # of a body: enough for the longest text, with up to 12 bytes per character as JSON escapes
MOST_REQUESTS = 10  # that wait, with the one that is processed
PIECE = 4096  # values that are encoded as JSON in one call

# Our own, because the server needs its few threads to read files and send pages.
_thread = ThreadPoolExecutor(1, "flux_duet_route")
_places = BoundedSemaphore(MOST_REQUESTS)


# aiohttp's errors for a body that does not match its headers.
_BROKEN = (ClientPayloadError, http_exceptions.BadHttpMessage, web.RequestPayloadError)


class Refused(Exception):
    """A rejected request: its HTTP status, and a message with what to change."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


async def answered(request: web.Request, checked: Callable[[Any], Any], answer: Callable[[Any], Any]) -> web.Response:
    """A JSON response with `answer(checked(body))`, or an error if either raises Refused.

    Both run in a thread, so that the event loop can serve other clients. The status is 503 if too many requests wait.
    """
    try:
        body = await _body(request)
        text = await _in_a_thread(lambda: encoded(answer(checked(parsed(body)))))
    except Refused as error:
        return web.json_response({"error": str(error)}, status=error.status)
    return web.Response(text=text, content_type="application/json")


async def _in_a_thread(work: Callable[[], str]) -> str:
    if not _places.acquire(blocking=False):
        raise Refused(503, f"busy: {MOST_REQUESTS} requests are waiting; send it again in a second")
    future = _thread.submit(_without_collecting, work)
    future.add_done_callback(lambda _: _places.release())  # also if it is cancelled because the client disconnected
    return await asyncio.wrap_future(future)


def _without_collecting(work: Callable[[], str]) -> str:
    with no_collections:
        return work()


class NoCollections:
    """A context manager that disables garbage collection while any thread is inside; reference counting still works.

    Thousands of new objects would trigger a collection of all of ComfyUI's objects, which takes a third of a second and
    stops every thread. Cyclic garbage is collected later.
    """

    def __init__(self):
        self._lock, self._inside, self._was_on = Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._was_on = gc.isenabled()
                gc.disable()
            self._inside += 1

    def __exit__(self, *_) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._was_on:
                gc.enable()


no_collections = NoCollections()


async def _body(request: web.Request) -> bytes:
    if request.content_type != "application/json":  # which a page of another site cannot send without a CORS preflight
        raise Refused(415, f"got {request.content_type!r}, expected the content type application/json")
    if (encoding := request.headers.get("Content-Encoding", "identity")).lower() != "identity":
        raise Refused(415, f"got the content encoding {encoding[:40]!r}, expected none: send the JSON as it is")
    body = bytearray()
    try:
        async for piece in request.content.iter_chunked(2**16):
            body += piece
            if len(body) > MOST_BYTES:
                raise Refused(413, f"got more than {MOST_BYTES:,} bytes; send a shorter text")
    except _BROKEN as error:
        raise Refused(400, "got a body that is incomplete or does not match its headers") from error
    return bytes(body)


def encoded(value: Any) -> str:
    """Plain data as JSON, long lists PIECE values at a time, because one call would block all other threads."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{encoded(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list) and any(isinstance(each, dict) for each in value[:1]):
        return "[" + ",".join(map(encoded, value)) + "]"
    if isinstance(value, list):
        pieces = (value[start : start + PIECE] for start in range(0, len(value), PIECE))
        return "[" + ",".join(json.dumps(piece, separators=(",", ":"))[1:-1] for piece in pieces) + "]"
    return json.dumps(value)


def parsed(body: bytes) -> Any:
    """The value of a JSON body. Raises Refused for invalid JSON."""
    try:
        return json.loads(body, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"got invalid JSON ({error}); expected an object") from error


def _integer(digits: str) -> int | float:
    """An integer; infinity, which no field allows, if it has so many digits that Python rejects or slowly parses it."""
    return int(digits) if len(digits) < 400 else -math.inf if digits.startswith("-") else math.inf


def shown(value: Any) -> str:
    """A request's value for an error message: shortened JSON, or "a list", "an object"."""
    kinds: dict[type, str] = {list: "a list", dict: "an object"}
    kind = kinds.get(type(value))
    return kind or json.dumps(value if not isinstance(value, str) else value[:40])[:40]
