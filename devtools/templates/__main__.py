"""`dev.py run devtools.templates [SLUG ...]`: lays out the templates and writes them, all unless some are named.

    workflows/NAME.json        the template, which ComfyUI lists as NAME
    workflows/api/SLUG.json    the same for the server's API

`--draft` does not run them, so their nodes have no room for what they show after a run.
"""

import argparse

from .. import SetupError, browser, front_end, say
from ..client import as_command
from ..front_end import FRAMES, FrontEnd
from ..server import Server
from . import TEMPLATES, making
from .building import SLOW, built, written
from .layout import WINDOW


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py run devtools.templates", description=__doc__.splitlines()[0])
    parser.add_argument("slugs", metavar="SLUG", nargs="*", choices=[[], *(each.slug for each in TEMPLATES)])
    parser.add_argument("--draft", action="store_true", help="do not run them")
    options = parser.parse_args()
    path = browser.find()
    if path is None:
        raise SetupError(f"no browser: {browser.HOW_TO}")
    width, height = WINDOW
    with Server(args=["--cache-lru", "1000"]) as server, front_end.browser(path) as started:
        canvas, vue = (FrontEnd(started, server, vue=each, width=width, height=height) for each in (False, True))
        for front in (canvas, vue):
            front.set(FRAMES, SLOW)
        subgraphs = making.definitions(canvas)
        for template in TEMPLATES:
            if options.slugs and template.slug not in options.slugs:
                continue
            say(f"{template.name} ...")
            written(canvas, template, built(canvas, vue, template, subgraphs, not options.draft))


if __name__ == "__main__":
    as_command(main)
