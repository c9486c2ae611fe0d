"""What the routes for the front end have in common: a checked JSON object, an answer or a refusal. Imports ComfyUI."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any

from aiohttp import ClientPayloadError, http_exceptions, web

MOST_BYTES = 2**20
THREADS, MOST_WAITING = 2, 8  # requests that are answered at once, and those that wait for it

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


async def answered(request: web.Request, checked: Callable[[Any], Any], answer: Callable[[Any], str]) -> web.Response:
    """The JSON text that `answer` gives for what `checked` made of the body; either may raise Refused.

    `answer` runs in a thread, for the server's loop has other clients too; 503 says that no more requests can wait.
    """
    try:
        asked = checked(parsed(await _body(request)))
        text = await _in_a_thread(answer, asked)
    except Refused as error:
        return web.json_response({"error": str(error)}, status=error.status)
    return web.Response(text=text, content_type="application/json")


async def _in_a_thread(answer: Callable[[Any], str], asked: Any) -> str:
    if not _places.acquire(blocking=False):
        raise Refused(503, f"busy: {THREADS + MOST_WAITING} requests came before this one; ask again in a second")
    future = _threads.submit(answer, asked)
    future.add_done_callback(lambda _: _places.release())  # also where its client has gone and it is cancelled
    return await asyncio.wrap_future(future)


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
