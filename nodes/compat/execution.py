"""Graph expansion, blocked outputs, the ids of the running node, and who asked for the run. Imports ComfyUI."""

from __future__ import annotations

# Used as they are: GraphBuilder builds the nodes that a node expands into; ComfyUI checks for ExecutionBlocker with
# isinstance.
from comfy_execution.graph_utils import ExecutionBlocker, GraphBuilder
from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context
from server import PromptServer

__all__ = ["ExecutionBlocker", "GraphBuilder", "running_client", "running_node_id", "shown_node_id"]


def shown_node_id() -> str | None:
    """The id under which the front end shows the running node; None outside of a run.

    For a node of an expanded graph it is the id of the node that was expanded.
    """
    context = get_executing_context()
    return None if context is None else get_progress_state().dynprompt.get_display_node_id(context.node_id)


def running_node_id() -> str | None:
    """The id of the running node in its workflow; None outside of a run."""
    context = get_executing_context()
    return None if context is None else context.node_id


def running_client() -> str | None:
    """The id of the client that asked for the run; None for a request without one."""
    return PromptServer.instance.client_id
