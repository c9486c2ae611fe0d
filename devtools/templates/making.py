"""Makes a template's graph in the front end and measures its nodes in both renderers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .. import SetupError
from ..front_end import FrontEnd
from .folding import identity
from .layout import Box, Size
from .parts import NOTE, OPEN, Node, Template
from .sampling import SUBGRAPHS

EMPTY = {"version": 0.4, "nodes": [], "links": [], "groups": [], "config": {}, "extra": {}}
# An input that is not given takes the output of its type of the last node before it that has one.
MAKE = """([nodes, open]) => {
    const made = {}, order = [], faults = [];
    const output = name => {
        const [key, slot] = name.split("/");
        return [made[key], Number(slot ?? 0)];
    };
    const byType = type => {
        for (const node of order.toReversed()) {
            const slot = node.outputs?.findIndex(each => each.type === type) ?? -1;
            if (slot >= 0) return [node, slot];
        }
        return [];
    };
    const fill = (node, given) => {
        for (const [name, value] of Object.entries(given.values)) {
            const widget = node.widgets?.find(each => each.name === name);
            if (!widget) { faults.push(`${given.kind} has no widget ${name}`); continue; }
            widget.value = value;
            widget.callback?.(value, app.canvas, node);
        }
    };
    const link = (node, given) => {
        const optional = node.constructor.nodeData?.input?.optional ?? {};
        for (let slot = 0; slot < (node.inputs?.length ?? 0); slot++) {
            const { name, type, widget } = node.inputs[slot], chosen = given.links[name];
            if (chosen === open || (!chosen && (widget || name in optional || name.includes(".")))) continue;
            const [from, at] = chosen ? output(chosen) : byType(type);
            if (!from?.connect(at, node, slot)) faults.push(`${given.kind}: nothing for ${name}`);
        }
        for (const name of Object.keys(given.links))
            if (!node.inputs?.some(each => each.name === name)) faults.push(`${given.kind} has no input ${name}`);
    };
    for (const given of nodes) {
        const node = LiteGraph.createNode(given.kind);
        if (!node) { faults.push(`there is no node ${given.kind}`); continue; }
        if (given.title) node.title = given.title;
        app.graph.add(node);
        fill(node, given);
        link(node, given);
        if (given.collapsed) node.collapse();
        made[given.key] = node;
        order.push(node);
    }
    return [Object.fromEntries(Object.entries(made).map(([key, node]) => [key, String(node.id)])), faults];
}"""
PLACE = """boxes => {
    for (const [id, [x, y, width, height]] of Object.entries(boxes)) {
        const node = app.graph.getNodeById(id);
        if (!node.collapsed) node.setSize([width, height]);
        node.pos = [x, y];
    }
    app.canvas.draw(true, true);
}"""
# The least size of each node: on the page if it is a Vue node, else as LiteGraph computes it.
SIZES = """() => Object.fromEntries(app.graph.nodes.map(node => {
    const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
    const { scale } = app.canvas.ds, [width, height] = node.computeSize();
    if (node.collapsed) return [node.id, [width, 0]];
    if (drawn) return [node.id, [drawn.width / scale, drawn.height / scale - LiteGraph.NODE_TITLE_HEIGHT]];
    return [node.id, [width, height]];
}))"""
# The height of the note's text at its width, and what the node needs beside it.
NOTE_HEIGHT = """id => {
    const node = app.graph.getNodeById(id), drawn = document.querySelector(`[data-node-id="${id}"]`);
    const text = (drawn ?? node.widgets[0].element).querySelector(".tiptap, .ProseMirror, .comfy-markdown-content");
    return text ? [...text.children].reduce((sum, each) => {
        const { marginTop, marginBottom } = getComputedStyle(each);
        return sum + each.offsetHeight + parseFloat(marginTop) + parseFloat(marginBottom);
    }, 0) : 0;
}"""
AROUND_NOTE = 34
NUMBERS = 100  # for the nodes of a subgraph


def made(front: FrontEnd, nodes: Sequence[Node], what: str) -> dict[str, str]:
    kinds = [{**asdict(node), "kind": identity(node.kind) if node.kind in SUBGRAPHS else node.kind} for node in nodes]
    numbers, faults = front.page.evaluate(MAKE, [kinds, OPEN])
    if faults:
        raise SetupError(f"{what}: {'; '.join(faults)}")
    return numbers


def definitions(front: FrontEnd) -> dict[str, dict[str, Any]]:
    """The subgraphs by their names. The nodes in each have numbers that no other subgraph has."""
    found = {}
    for which, (name, inside) in enumerate(SUBGRAPHS.items()):
        front.load({**EMPTY, "last_node_id": NUMBERS * which})
        numbers = made(front, inside.nodes, name)
        place(front, numbers, inside.boxes)
        found[name] = inside.definition(name, front.page.evaluate("() => app.graph.serialize()"), numbers)
    return found


def make(front: FrontEnd, template: Template, subgraphs: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Makes the graph; returns the nodes' numbers by their keys."""
    used = dict.fromkeys(node.kind for node in template.nodes() if node.kind in subgraphs)
    front.load({**EMPTY, "definitions": {"subgraphs": [subgraphs[kind] for kind in used]}})
    note = Node(NOTE, "MarkdownNote", NOTE, {"text": template.note.text})
    return made(front, [*template.nodes(), note], template.slug)


def place(front: FrontEnd, numbers: Mapping[str, str], boxes: Mapping[str, Box]) -> None:
    front.page.evaluate(PLACE, {numbers[key]: box for key, box in boxes.items()})


def sizes(front: FrontEnd, numbers: Mapping[str, str]) -> dict[str, Size]:
    found = front.page.evaluate(SIZES)
    return {key: tuple(found[number]) for key, number in numbers.items()}


def note_height(front: FrontEnd, numbers: Mapping[str, str]) -> float:
    return front.page.evaluate(NOTE_HEIGHT, numbers[NOTE]) + AROUND_NOTE
