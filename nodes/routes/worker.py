"""POST /flux_duet/worker: versions, machine, and digests of model files, requested of a worker. Imports ComfyUI."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..cluster.fingerprint import facts
from .http import Refused, answered

MOST_FILES, MOST_CHARACTERS = 10_000, 500


async def worker(request: web.Request) -> web.Response:
    return await answered(request, checked, facts)


def checked(body: Any) -> list[str]:
    """The names of files. Raises Refused for an invalid body."""
    if not isinstance(body, dict) or not isinstance(body.get("files"), list):
        raise Refused(400, "expected a JSON object whose `files` is a list of names")
    if unknown := sorted(body.keys() - {"files"}):
        raise Refused(400, f"got the unknown field {unknown[0][:40]!r}; expected files")
    files = body["files"]
    if len(files) > MOST_FILES or not all(isinstance(each, str) and len(each) <= MOST_CHARACTERS for each in files):
        raise Refused(400, f"expected at most {MOST_FILES:,} names of at most {MOST_CHARACTERS} characters")
    return [each for each in files if each.isprintable()]
