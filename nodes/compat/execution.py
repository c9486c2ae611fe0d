"""Graph expansion, blocked outputs and the node that runs. Imports ComfyUI."""

from __future__ import annotations

# Named as they are: GraphBuilder makes the nodes a node expands into, ExecutionBlocker is a value that ComfyUI knows by
# its class.
from comfy_execution.graph_utils import ExecutionBlocker, GraphBuilder
from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context

__all__ = ["ExecutionBlocker", "GraphBuilder", "shown_node_id"]


def shown_node_id() -> str | None:
    """The id of the node that runs, as the front end shows it; None outside of a run.

    A node of an expanded graph is shown as the node that it stands for.
    """
    context = get_executing_context()
    return None if context is None else get_progress_state().dynprompt.get_display_node_id(context.node_id)
