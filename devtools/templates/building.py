"""From a template's description to its files: workflows/NAME.json and workflows/api/SLUG.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .. import SetupError
from ..front_end import FRAMES, FrontEnd
from . import API, WORKFLOWS, making
from .layout import READABLE, Size, placed, scale
from .parts import NOTE, Template

SLOW = 2  # frames a second: without a GPU, drawing takes most of the time
Subgraphs = Mapping[str, dict[str, Any]]

FIRST_NOTE = 120  # the note's height until its text is measured
# What the front end writes for itself and reads as not given.
UNSAID = ("color_off", "color_on", "dir", "locked", "nameLocked", "removable", "pos", "slot_index", "showAdvanced")


def _at_least(template: Template, measured: Mapping[str, Size]) -> dict[str, Size]:
    asked = {node.key: 0 if node.collapsed else node.height for node in template.nodes()}
    return {key: (width, max(height, asked.get(key, 0))) for key, (width, height) in measured.items()}


def _larger(one: Mapping[str, Size], other: Mapping[str, Size]) -> dict[str, Size]:
    return {key: (max(one[key][0], other[key][0]), max(one[key][1], other[key][1])) for key in one}


def _serialized(front: FrontEnd) -> dict[str, Any]:
    return front.page.evaluate("() => app.graph.serialize()")


def _ran(front: FrontEnd, name: str) -> None:
    kind, detail = front.queue()
    front.set(FRAMES, SLOW)
    if kind != "execution_success":
        raise SetupError(f"{name} did not run: {kind} {json.dumps(detail)[:500]}")


def _shown(front: FrontEnd, graph: dict[str, Any]) -> None:
    front.load(graph)
    front.fit()
    front.still()


def built(canvas: FrontEnd, vue: FrontEnd, template: Template, subgraphs: Subgraphs, run: bool) -> dict[str, Any]:
    """The workflow, with room for what its nodes show in either renderer, after a run too if `run` is set."""
    numbers = making.make(canvas, template, subgraphs)
    sizes = {**making.sizes(canvas, numbers), NOTE: (0.0, FIRST_NOTE)}
    making.place(canvas, numbers, placed(template, _at_least(template, sizes)))
    draft = _serialized(canvas)
    for front in (vue, canvas):
        _shown(front, draft)
        if run:
            _ran(front, template.name)
            front.fit()
            front.still()
        seen = making.sizes(front, numbers)
        tall = making.note_height(front, numbers)
        sizes = _larger(sizes, {**seen, NOTE: (0.0, tall)})
    sizes[NOTE] = (0.0, max(tall, FIRST_NOTE / 2) if tall else FIRST_NOTE)
    boxes = placed(template, _at_least(template, sizes))
    if (opening := scale(boxes)) < READABLE:
        raise SetupError(f"{template.name} opens at {opening:.2f}, where no text is drawn; it needs {READABLE}")
    making.place(canvas, numbers, boxes)
    return tidied(_serialized(canvas))


def tidied(value: Any) -> Any:
    """Without what is not said."""
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if not (key in UNSAID and each is None)}
        return {key: tidied(each) for key, each in kept.items()}
    return [tidied(each) for each in value] if isinstance(value, list) else value


def written(front: FrontEnd, template: Template, workflow: dict[str, Any]) -> None:
    workflow.get("extra", {}).pop("ds", None)
    front.load(workflow)
    text = json.dumps(front.to_api(), indent=2) + "\n"
    (API / f"{template.slug}.json").write_text(text, encoding="utf-8")
    text = json.dumps(workflow, indent=1, ensure_ascii=False) + "\n"
    (WORKFLOWS / f"{template.name}.json").write_text(text, encoding="utf-8")
