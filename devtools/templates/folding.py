"""A graph as the inside of a subgraph, in the front end's format. Pure: the standard library."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

SPACE = uuid.UUID("fc1e4c9d-fbc2-5d0c-adea-254163933cd1")
INSIDE, OUTSIDE = -10, -20  # the front end's numbers for a subgraph's inputs and outputs
SLOT, EDGE = 20, 140  # the height of a slot, and the width of the boxes that hold them

Graph = dict[str, Any]


def identity(name: str) -> str:
    return str(uuid.uuid5(SPACE, name))


class Folding:
    """A subgraph's definition from a serialized graph.

    inputs     (node's number, its input, the name outside): links from outside, and widgets shown outside
    outputs    (node's number, its output, the name outside)
    """

    def __init__(self, name: str, graph: Graph, **texts: str):
        self.name, self.texts = name, texts
        self.nodes = {node["id"]: node for node in graph["nodes"]}
        self.links = [
            dict(zip(("id", "origin_id", "origin_slot", "target_id", "target_slot", "type"), link, strict=True))
            for link in graph["links"]
        ]
        self.inputs: list[Graph] = []
        self.outputs: list[Graph] = []

    def _link(self, **ends: Any) -> int:
        number = max((link["id"] for link in self.links), default=0) + 1
        self.links.append({"id": number, **ends})
        return number

    def _slot(self, slots: list[Graph], name: str, kind: str, link: int) -> None:
        identifier = identity(f"{self.name}/{'in' if slots is self.inputs else 'out'}/{name}")
        slots.append({"id": identifier, "name": name, "type": kind, "linkIds": [link], "label": name})

    def take(self, number: int, name: str, outside: str) -> None:
        """An input of an inner node becomes one of the subgraph; with its widget, if it has one. Several may
        be one outside."""
        slot, given = next((at, each) for at, each in enumerate(self.nodes[number]["inputs"]) if each["name"] == name)
        at, known = next(
            ((at, each) for at, each in enumerate(self.inputs) if each["name"] == outside), (len(self.inputs), None)
        )
        ends = {"origin_id": INSIDE, "origin_slot": at, "target_id": number, "target_slot": slot}
        given["link"] = self._link(**ends, type=given["type"])
        if known:
            known["linkIds"].append(given["link"])
        else:
            self._slot(self.inputs, outside, given["type"], given["link"])

    def give(self, number: int, slot: int, outside: str) -> None:
        given = self.nodes[number]["outputs"][slot]
        ends = {"origin_id": number, "origin_slot": slot, "target_id": OUTSIDE, "target_slot": len(self.outputs)}
        link = self._link(**ends, type=given["type"])
        given["links"] = [*(given.get("links") or []), link]
        self._slot(self.outputs, outside, given["type"], link)

    def definition(self) -> Graph:
        right = max(node["pos"][0] + node["size"][0] for node in self.nodes.values())
        return {
            "id": identity(self.name),
            "version": 1,
            "state": {
                "lastGroupId": 0,
                "lastNodeId": max(self.nodes),
                "lastLinkId": max(link["id"] for link in self.links),
                "lastRerouteId": 0,
            },
            "revision": 0,
            "config": {},
            "name": self.name,
            **self.texts,
            "inputNode": {"id": INSIDE, "bounding": [-EDGE - 120, 0, EDGE, SLOT * (len(self.inputs) + 2)]},
            "outputNode": {"id": OUTSIDE, "bounding": [right + 120, 0, EDGE, SLOT * (len(self.outputs) + 2)]},
            "inputs": self.inputs,
            "outputs": self.outputs,
            "widgets": [],
            "nodes": list(self.nodes.values()),
            "groups": [],
            "links": self.links,
            "extra": {},
        }


def folded(
    name: str,
    graph: Graph,
    takes: Sequence[tuple[int, str, str]],
    gives: Sequence[tuple[int, int, str]],
    texts: Mapping[str, str] | None = None,
) -> Graph:
    folding = Folding(name, graph, **(texts or {}))
    for take in takes:
        folding.take(*take)
    for give in gives:
        folding.give(*give)
    return folding.definition()
