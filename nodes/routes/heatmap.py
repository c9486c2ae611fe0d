"""What Show Heatmap asks while its sliders move: POST /flux_duet/heatmap gives each word's map. Imports ComfyUI."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

from aiohttp import web

from ..condition.blocks import Blocks
from ..disk.temporary import temporary_folder
from ..probe.heat.choices import ALL_HEADS
from ..probe.heat.reading import ALL, Choice, masks, span
from ..probe.heat.stored import SUFFIX, look
from .http import Refused, answered, shown

NAME = re.compile(r"[0-9a-f]{32}")  # a name that cannot lead anywhere else
LAST = 10_000  # no step has a higher number
GONE = (
    "These maps are no longer on the server. Run the workflow again; if nothing in it has changed, change a setting of "
    "this node first. They were let go to make room for those of later runs, or ComfyUI was started anew."
)


async def heatmap(request: web.Request) -> web.Response:
    return await answered(request, checked, _answer)


def checked(asked: Any) -> tuple[str, Choice]:
    """The reading's name and what is chosen of it. Raises Refused for anything else."""
    if not isinstance(asked, dict) or not isinstance(asked.get("name"), str) or not NAME.fullmatch(asked["name"]):
        raise Refused(400, "expected a JSON object whose `name` is a reading's: 32 hexadecimal digits")
    if unknown := sorted(asked.keys() - {"name", "first", "last", "blocks", "head"}):
        raise Refused(400, f"got the unknown field {unknown[0][:40]!r}; expected name, first, last, blocks, head")
    first, last, blocks = asked.get("first", 0), asked.get("last", LAST), asked.get("blocks", "all")
    head = asked.get("head", ALL_HEADS)
    if type(head) is not int or not ALL_HEADS <= head < 1000:
        raise Refused(400, f"got {shown(head)} for `head`; expected a head's number, or -1 for all")
    for name, step in (("first", first), ("last", last)):
        if type(step) is not int or not 0 <= step <= LAST:
            raise Refused(400, f"got {shown(step)} for `{name}`; expected a step from 0 to {LAST}")
    if not isinstance(blocks, str) or len(blocks) > 1000:
        raise Refused(400, "expected a short text for `blocks`, such as 'double, 25, 28-30'")
    try:
        return asked["name"], Choice(first, last, Blocks.parse(blocks), None if head == ALL_HEADS else head)
    except ValueError as error:
        raise Refused(400, str(error)) from error


def _answer(asked: tuple[str, Choice]) -> dict:
    name, choice = asked
    try:
        seen = look(temporary_folder() / f"{name}{SUFFIX}", choice)
    except FileNotFoundError as error:
        raise Refused(404, GONE) from error
    except ValueError as error:
        raise Refused(400, str(error)) from error
    found, counted = seen.maps[None], None if seen.counted is None else seen.counted[None]
    levels = (masks(found, counted) * 255).round().byte().numpy()  # each word's from its least to its most
    least, most = (each[0].tolist() for each in span(found, counted))
    return {
        "words": seen.words, "shares": seen.shares, "image": 1 - seen.shares[ALL], "size": list(seen.maps.shape[1:]),
        "least": least, "most": most, "maps": b64encode(levels.tobytes()).decode(),
    }  # fmt: skip
