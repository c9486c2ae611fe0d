"""Messages for the user, in the log and on the node. Imports ComfyUI."""

import logging

from .compat.execution import shown_node_id

log = logging.getLogger("flux_duet")


def warn(text: str, report: str = "") -> dict:
    """Logs `text` as a warning and shows it on the running node, followed by `report`, which is not logged.

    Returns `ui` for a NodeOutput, which ComfyUI keeps in the run's history. When ComfyUI takes the node from its cache,
    nothing is logged again; the front end keeps showing the text on the node.
    """
    log.warning(text)
    return show(f"{text}\n{report}" if report else text)


def say(text: str, before: str = "") -> dict:
    """Logs `text` and shows it on the running node, after `before`, which is not logged (again)."""
    log.info(text)
    return show(f"{before}\n{text}" if before else text)


def show(text: str) -> dict:
    """Shows `text` on the running node, without logging it. Returns `ui` for a NodeOutput."""
    node_id = shown_node_id()
    if node_id is not None:
        from server import PromptServer  # not at the top: tests and tools import this module without a server

        PromptServer.instance.send_progress_text(text, node_id)
    return {"text": (text,)}


def nothing() -> dict:
    """`ui` for a NodeOutput that removes from the node what an earlier run said on it."""
    return {"text": ("",)}
