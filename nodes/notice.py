"""Tells the user what a node had to do differently: in the log, and on the node while it runs. Imports ComfyUI."""

import logging

from .compat.execution import shown_node_id

log = logging.getLogger("flux_duet")


def tell(text: str, beside: str = "") -> dict:
    """Says `text` at once, and returns the `ui` of a NodeOutput, which ComfyUI keeps in the history of this run.

    `beside` is no warning: it stands on the node alone, not in the log.
    A run that takes the node from the cache says nothing again; the front end keeps showing it on the node.
    """
    log.warning(text)
    return show(f"{text}\n{beside}" if beside else text)


def show(text: str) -> dict:
    """The same for what is as it should be, and so not for the log."""
    shown = shown_node_id()
    if shown is not None:
        from server import PromptServer  # not at the top: tests and tools import this module without a server

        PromptServer.instance.send_progress_text(text, shown)
    return {"text": (text,)}
