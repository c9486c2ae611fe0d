"""POST /flux_duet/theme: a front end tells whether its theme is dark. Imports ComfyUI."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..compat.execution import running_client
from ..theme import follow, tell
from .http import Refused, answered, shown

MOST_CHARACTERS = 200


async def theme(request: web.Request) -> web.Response:
    return await answered(request, checked, _answer)


def checked(body: Any) -> tuple[str, bool]:
    """The client's id, and whether its theme is dark. Raises Refused for an invalid body."""
    if not isinstance(body, dict):
        raise Refused(400, "expected a JSON object")
    if unknown := sorted(body.keys() - {"client", "dark"}):
        raise Refused(400, f"got the unknown field {unknown[0][:40]!r}; expected client, dark")
    client, is_dark = body.get("client"), body.get("dark")
    if not isinstance(client, str) or not 0 < len(client) <= MOST_CHARACTERS:
        raise Refused(400, f"got {shown(client)} for `client`; expected an id of 1 to {MOST_CHARACTERS} characters")
    if not isinstance(is_dark, bool):
        raise Refused(400, f"got {shown(is_dark)} for `dark`; expected true or false")
    return client, is_dark


def _answer(told: tuple[str, bool]) -> dict:
    follow(running_client)
    tell(*told)
    return {"dark": told[1]}
