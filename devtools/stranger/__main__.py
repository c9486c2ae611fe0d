"""`dev.py run devtools.stranger [TASK ...] [--to FOLDER]`: docs/first_contact.md, walked by a mouse in both renderers.

Each task begins in a new tab of its own, 1440 x 900. Writes the clicks it took into the table's column "walked", as
LiteGraph's / Nodes 2.0's, and with `--to` a picture of each end, FOLDER/TASK-RENDERER.png, to look at.
"""

import argparse
import re
from pathlib import Path

from playwright.sync_api import Browser

from .. import ROOT, SetupError, browser, front_end, say
from ..front_end import FrontEnd
from ..server import Server
from .hand import Hand
from .tasks import TASKS

DOC = ROOT / "docs" / "first_contact.md"
RENDERERS = {"litegraph": False, "vue": True}


def walk(started: Browser, server: Server, task: str, vue: bool, picture: Path | None) -> int:
    """Walks one task; the number of its clicks. Raises SetupError for what a user would have stumbled over."""
    server.post("/settings", {"Comfy.VueNodes.Enabled": vue})
    front = FrontEnd(started, server, vue=vue, width=1440, height=900, timeout=60)
    try:
        hand = Hand(front, vue)
        TASKS[task](hand)
        if front.errors:
            raise SetupError(f"errors in the browser: {front.errors}")
        return hand.clicks
    finally:
        if picture:
            front.still()
            front.screenshot(picture)
        front.close()


def fill(task: str, counts: list[int]) -> None:
    """Writes a row's fourth column."""
    text = DOC.read_text(encoding="utf-8")
    row = re.compile(rf"^(\| {task} \|[^|]*\|[^|]*\|)[^|]*\|", re.MULTILINE)
    DOC.write_text(row.sub(rf"\g<1> {' / '.join(map(str, counts))} |", text), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; all without one")
    parser.add_argument("--to", type=Path, help="folder for a picture of each end")
    chosen, path = parser.parse_args(), browser.find()
    if path is None:
        raise SetupError(f"no browser: {browser.HOW_TO}")
    if chosen.to:
        chosen.to.mkdir(parents=True, exist_ok=True)
    with Server() as server, front_end.browser(path) as started:
        for task in chosen.tasks or TASKS:
            counts = [
                walk(started, server, task, vue, chosen.to and chosen.to / f"{task}-{renderer}.png")
                for renderer, vue in RENDERERS.items()
            ]
            fill(task, counts)
            say(f"{task}: {' / '.join(map(str, counts))} clicks")


if __name__ == "__main__":
    main()
