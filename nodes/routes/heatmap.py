"""POST /flux_duet/heatmap: each word's map, requested by Show Heatmap's controls. Imports ComfyUI."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

from aiohttp import web

from ..condition.blocks import Blocks
from ..disk.temporary import temporary_folder
from ..probe.heat.choices import ALL_HEADS, OFF, SPREAD
from ..probe.heat.reading import Choice, masks, of_image, span
from ..probe.heat.stored import SUFFIX, look
from .http import Refused, answered, shown

NAME = re.compile(r"[0-9a-f]{32}")  # cannot be a path to another folder
LAST = 10_000  # the highest step number
GONE = (
    "These maps are no longer on the server. Run the workflow again; if nothing in it has changed, change a setting of "
    "this node first. They were removed to make room for those of later runs, or ComfyUI was restarted."
)


async def heatmap(request: web.Request) -> web.Response:
    return await answered(request, checked, _answer)


def checked(body: Any) -> tuple[str, Choice, str]:
    """The reading's name, the requested part of it, and how it is refined. Raises Refused for an invalid body."""
    if not isinstance(body, dict) or not isinstance(body.get("name"), str) or not NAME.fullmatch(body["name"]):
        raise Refused(400, "expected a JSON object whose `name` is a reading's: 32 hexadecimal digits")
    if unknown := sorted(body.keys() - {"name", "first", "last", "blocks", "head", "refine"}):
        raise Refused(
            400, f"got the unknown field {unknown[0][:40]!r}; expected name, first, last, blocks, head, refine"
        )
    first, last, blocks = body.get("first", 0), body.get("last", LAST), body.get("blocks", "all")
    head = body.get("head", ALL_HEADS)
    if type(head) is not int or not ALL_HEADS <= head < 1000:
        raise Refused(400, f"got {shown(head)} for `head`; expected the number of a head, or -1 for all")
    refine = body.get("refine", OFF)
    if refine not in (OFF, SPREAD):
        raise Refused(400, f"got {shown(refine)} for `refine`; expected {OFF} or {SPREAD}")
    for name, step in (("first", first), ("last", last)):
        if type(step) is not int or not 0 <= step <= LAST:
            raise Refused(400, f"got {shown(step)} for `{name}`; expected a step from 0 to {LAST}")
    if not isinstance(blocks, str) or len(blocks) > 1000:
        raise Refused(400, "expected a short text for `blocks`, such as 'double, 25, 28-30'")
    try:
        return body["name"], Choice(first, last, Blocks.parse(blocks), None if head == ALL_HEADS else head), refine
    except ValueError as error:
        raise Refused(400, str(error)) from error


def _answer(request: tuple[str, Choice, str]) -> dict:
    name, choice, refine = request
    try:
        seen = look(temporary_folder() / f"{name}{SUFFIX}", choice, refine)
    except FileNotFoundError as error:
        raise Refused(404, GONE) from error
    except ValueError as error:
        raise Refused(400, str(error)) from error
    found, counted = seen.maps[None], None if seen.counted is None else seen.counted[None]
    levels = (masks(found, counted) * 255).round().byte().numpy()  # scaled to each word's range
    least, most = (each[0].tolist() for each in span(found, counted))
    return {
        "words": seen.words, "shares": seen.shares, "image": of_image(seen.shares), "size": list(seen.maps.shape[1:]),
        "least": least, "most": most, "maps": b64encode(levels.tobytes()).decode(),
    }  # fmt: skip
