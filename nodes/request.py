"""What the routes for the front end have in common: a checked JSON object, an answer or a refusal. Imports ComfyUI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

MOST_BYTES = 2**20


class Refused(Exception):
    """A request that is not answered: its HTTP status, and what to change."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


async def answered(request: web.Request, checked: Callable[[Any], Any], answer: Callable[[Any], str]) -> web.Response:
    """The JSON text that `answer` gives for what `checked` made of the body; either may raise Refused."""
    try:
        asked = checked(parsed(await _body(request)))
        # In a thread: the server's loop has other clients too.
        text = await asyncio.to_thread(answer, asked)
    except Refused as error:
        return web.json_response({"error": str(error)}, status=error.status)
    return web.Response(text=text, content_type="application/json")


async def _body(request: web.Request) -> bytes:
    if request.content_type != "application/json":  # which a page of another site cannot send unasked
        raise Refused(415, f"got {request.content_type!r}, expected the content type application/json")
    body = b""
    async for piece in request.content.iter_chunked(2**16):
        body += piece
        if len(body) > MOST_BYTES:
            raise Refused(413, f"got more than {MOST_BYTES:,} bytes; send a shorter text")
    return body


def parsed(body: bytes) -> Any:
    """Raises Refused for what is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"got no JSON ({error}); expected an object") from error
