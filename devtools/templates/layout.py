"""Where a template's nodes stand: columns from left to right, nodes from top to bottom. Pure: the standard library."""

from __future__ import annotations

from collections.abc import Mapping

from .parts import NOTE, Template

TITLE = 30  # LiteGraph's title bar, above a node's position
GAP, ROW = 28, 20  # between columns, and between a node and the title bar of the next

# ComfyUI opens a template so that it takes three quarters of the window, with a margin of 10 around its nodes.
SHARE, AROUND = 0.75, 10
WINDOW = (1440, 900)
READABLE = 0.6  # at a smaller scale LiteGraph draws no text
ROOM = tuple(int(SHARE * side / READABLE) - 2 * AROUND for side in WINDOW)

Size = tuple[float, float]
Box = tuple[float, float, float, float]  # x, y, width, height, without the title bar


def placed(template: Template, sizes: Mapping[str, Size]) -> dict[str, Box]:
    """Each node's box, by its key; NOTE is the key of the note."""
    boxes: dict[str, Box] = {}
    spans, x = [], 0.0
    for column in template.columns:
        width = max(column.width, *(sizes[node.key][0] for node in column.nodes))
        y = 0.0
        for node in column.nodes:
            boxes[node.key] = (x, y, width, sizes[node.key][1])
            y += sizes[node.key][1] + ROW + TITLE
        spans.append((x, width, y))
        x += width + GAP
    under = spans[template.note.first : template.note.last + 1]
    top = max(y for _, _, y in under)
    right = under[-1][0] + under[-1][1]
    boxes[NOTE] = (under[0][0], top, right - under[0][0], sizes[NOTE][1])
    return boxes


def note_width(template: Template, sizes: Mapping[str, Size]) -> float:
    return placed(template, {**sizes, NOTE: (0, 0)})[NOTE][2]


def extent(boxes: Mapping[str, Box]) -> Size:
    """Width and height of the whole, title bars included."""
    right = max(x + width for x, _, width, _ in boxes.values())
    bottom = max(y + height for _, y, _, height in boxes.values())
    return right, bottom + TITLE


def scale(boxes: Mapping[str, Box]) -> float:
    """The scale at which ComfyUI opens it in WINDOW."""
    width, height = (side + 2 * AROUND for side in extent(boxes))
    return min(SHARE * WINDOW[0] / width, SHARE * WINDOW[1] / height)
