import asyncio
from types import SimpleNamespace

import comfy_execution.progress
import execution as comfyui
from comfy_execution.graph import DynamicPrompt
from comfy_execution.utils import CurrentNodeContext
from server import PromptServer

from flux_duet.nodes.compat import execution


def test_shown_node(monkeypatch):
    """No node runs outside of a prompt; a node of an expanded graph is shown as the node that it replaces."""
    assert execution.shown_node_id() is None
    prompt = DynamicPrompt({"5": {}})
    prompt.add_ephemeral_node("5.0.0.1", {}, "5", "5")
    monkeypatch.setattr(
        comfy_execution.progress,
        "global_progress_registry",
        comfy_execution.progress.ProgressRegistry("p", prompt),
    )
    with CurrentNodeContext("p", "5.0.0.1"):
        assert execution.shown_node_id() == "5"
    with CurrentNodeContext("p", "5"):
        assert execution.shown_node_id() == "5"


def test_running_node():
    """The id of the node that runs, in an expanded graph its own."""
    assert execution.running_node_id() is None
    with CurrentNodeContext("p", "5.0.0.1"):
        assert execution.running_node_id() == "5.0.0.1"


def test_running_client(monkeypatch):
    """A run sets who asked for it, before its first node; a request may name nobody."""
    server = SimpleNamespace(client_id="another", last_node_id=None, send_sync=lambda *_: None)
    monkeypatch.setattr(PromptServer, "instance", server, raising=False)
    executor = comfyui.PromptExecutor(server, cache_args={"lru": 0, "ram": 0, "ram_inactive": 0})
    for extra, client in (({"client_id": "c"}, "c"), ({}, None)):
        asyncio.run(executor.execute_async({}, "p", extra, []))
        assert execution.running_client() == client


def test_graph():
    """`node(kind, **inputs)` gives nodes whose `out(i)` is a link, and `finalize` the graph in API format."""
    graph = execution.GraphBuilder("p.")
    first = graph.node("One", text="a")
    second = graph.node("Two", link=first.out(1))
    assert second.out(0) == [second.id, 0]
    assert graph.finalize() == {
        first.id: {"class_type": "One", "inputs": {"text": "a"}},
        second.id: {"class_type": "Two", "inputs": {"link": [first.id, 1]}},
    }


def test_blocker():
    """A blocked output carries the error message of the nodes that use it."""
    assert execution.ExecutionBlocker("why").message == "why"
