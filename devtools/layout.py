"""Checks the open graph's layout: no overlapping nodes, every node completely inside or outside of each group."""

import time

from .front_end import FrontEnd

# [name, x, y, right, bottom] in the graph's units. For Vue nodes the size on the page, including the footer.
NODES = """() => app.graph.nodes.map(node => {
    const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
    const scale = app.canvas.ds.scale;
    const [x, y, width, height] = node.boundingRect;
    const size = drawn ? [drawn.width / scale, drawn.height / scale] : [width, height];
    return [`${node.title} (${node.id})`, x, y, x + size[0], y + size[1]];
})"""
GROUPS = """() => app.graph.groups.map(group => {
    const [x, y, width, height] = group.boundingRect;
    return [group.title, x, y, x + width, y + height];
})"""


def _overlap(one: list, other: list) -> bool:
    return one[1] < other[3] and other[1] < one[3] and one[2] < other[4] and other[2] < one[4]


def _holds(group: list, node: list) -> bool:
    return group[1] <= node[1] and group[2] <= node[2] and node[3] <= group[3] and node[4] <= group[4]


def _meeting(rectangles: list[list]) -> list[str]:
    pairs = [(one, other) for at, one in enumerate(rectangles) for other in rectangles[:at]]
    return [f"{one[0]} and {other[0]} overlap" for one, other in pairs if _overlap(one, other)]


def untidy(front: FrontEnd, patience: float = 10) -> list[str]:
    """Which nodes and groups overlap. Waits until the view does not move, because before, Vue nodes may have another
    scale than the graph. The whole graph must be visible, because invisible Vue nodes are not drawn."""
    until = time.monotonic() + patience
    while (found := _untidy(front)) and time.monotonic() < until:
        front.page.wait_for_timeout(250)
    return found


def _untidy(front: FrontEnd) -> list[str]:
    nodes, groups = front.page.evaluate(NODES), front.page.evaluate(GROUPS)
    crossing = [
        f"{node[0]} sticks out of {group[0]}"
        for node in nodes
        for group in groups
        if _overlap(node, group) and not _holds(group, node)
    ]
    return [*_meeting(nodes), *_meeting(groups), *crossing]
