"""What the routes for the front end have in common: a checked JSON object, an answer or a refusal. Imports ComfyUI.

The server's loop and our threads share one interpreter, in which one thread runs at a time and gives way every few
milliseconds, but not in the middle of a call that is written in C. So what is asked is read in our threads too, and
answers become JSON in pieces; nor is garbage collected for them, which would stop all threads for as long as it takes
to look through all that ComfyUI has in memory.
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

MOST_BYTES = 2**19  # the longest text takes 12 for each character, if all are written as escapes
THREADS, MOST_WAITING = 2, 8  # requests that are answered at once, and those that wait for it
PIECE = 4096  # values that become JSON at once

# Our own threads: the server's are few too, and while they work, it reads no file and sends no page.
_threads = ThreadPoolExecutor(THREADS, "flux_duet_route")
_places = BoundedSemaphore(THREADS + MOST_WAITING)


# What aiohttp raises where a body is other than its headers say.
_BROKEN = (ClientPayloadError, http_exceptions.BadHttpMessage, web.RequestPayloadError)


class Refused(Exception):
    """A request that is not answered: its HTTP status, and what to change."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


async def answered(request: web.Request, checked: Callable[[Any], Any], answer: Callable[[Any], Any]) -> web.Response:
    """The JSON of what `answer` gives for what `checked` made of the body; either may raise Refused.

    Both run in a thread, for the server's loop has other clients too; 503 says that no more requests can wait.
    """
    try:
        body = await _body(request)
        text = await _in_a_thread(lambda: encoded(answer(checked(parsed(body)))))
    except Refused as error:
        return web.json_response({"error": str(error)}, status=error.status)
    return web.Response(text=text, content_type="application/json")


async def _in_a_thread(work: Callable[[], str]) -> str:
    if not _places.acquire(blocking=False):
        raise Refused(503, f"busy: {THREADS + MOST_WAITING} requests came before this one; ask again in a second")
    future = _threads.submit(_without_collecting, work)
    future.add_done_callback(lambda _: _places.release())  # also where its client has gone and it is cancelled
    return await asyncio.wrap_future(future)


def _without_collecting(work: Callable[[], str]) -> str:
    with no_collections:
        return work()


class NoCollections:
    """While any thread is inside, no garbage is collected: what is made there goes when nothing refers to it any more.

    Thousands of new objects would set off a collection of all that ComfyUI has, and that takes a third of a second, for
    which every thread waits. What others leave meanwhile waits for the next one.
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
    if request.content_type != "application/json":  # which a page of another site cannot send unasked
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
        raise Refused(400, "got a body that breaks off or is not in the form that its headers say") from error
    return bytes(body)


def encoded(value: Any) -> str:
    """Plain data as JSON, of long lists PIECE values at a time: a call for all of them would stop all other threads."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{encoded(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list) and any(isinstance(each, dict) for each in value[:1]):
        return "[" + ",".join(map(encoded, value)) + "]"
    if isinstance(value, list):
        pieces = (value[start : start + PIECE] for start in range(0, len(value), PIECE))
        return "[" + ",".join(json.dumps(piece, separators=(",", ":"))[1:-1] for piece in pieces) + "]"
    return json.dumps(value)


def parsed(body: bytes) -> Any:
    """Raises Refused for what is no JSON."""
    try:
        return json.loads(body, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"got no JSON ({error}); expected an object") from error


def _integer(digits: str) -> int | float:
    """Infinity, which no field allows, for a number so long that Python refuses or takes long to read it."""
    return int(digits) if len(digits) < 400 else -math.inf if digits.startswith("-") else math.inf


def shown(value: Any) -> str:
    """A value of a request, in an error message: as JSON, but of a list or an object only what it is."""
    kinds: dict[type, str] = {list: "a list", dict: "an object"}
    kind = kinds.get(type(value))
    return kind or json.dumps(value if not isinstance(value, str) else value[:40])[:40]
