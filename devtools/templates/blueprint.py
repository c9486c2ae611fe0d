"""`dev.py run devtools.templates.blueprint`: writes subgraphs/, the usual case as one node of the node library."""

from __future__ import annotations

import json
from typing import Any

from .. import ROOT, SetupError, browser, front_end
from ..client import as_command
from ..front_end import FrontEnd
from ..server import Server
from . import making
from .basics import TWO_PROMPTS
from .building import tidied
from .folding import folded
from .layout import WINDOW, placed
from .parts import NOTE, Node

NAME = "Two Prompts to Image (Flux Duet)"
FILE = ROOT / "subgraphs" / f"{NAME}.json"
TEXTS = {
    "category": "Image generation and editing/Text to image",
    "description": "FLUX.1 with a prompt for CLIP and one for T5: CLIP sets the tone of the whole picture, T5 says "
    "what is where. Open it to rewire the stages.",
}
# A preview instead of a file: it makes the node run by itself, and shows the picture on it.
PREVIEW = Node("picture", "PreviewImage", links={"images": "decode"})
TAKES = (
    ("vec", "text", "CLIP prompt"),
    ("txt", "text", "T5 prompt"),
    ("sampler", "seed", "seed"),
    ("sampler", "steps", "steps"),
    ("latent", "width", "width"),
    ("latent", "height", "height"),
    ("dual", "guidance", "guidance"),
    ("unet", "unet_name", "unet_name"),
    ("clip", "clip_name", "clip_name"),
    ("t5", "t5_name", "t5_name"),
    ("vae", "vae_name", "vae_name"),
)
COLOUR = {"color": "#33322f", "bgcolor": "#47423c"}  # between the two prompts' blue and amber
RANDOMIZE = """id => {
    const node = app.graph.getNodeById(id);
    node.widgets.find(widget => widget.name === "control_after_generate").value = "randomize";
}"""
SIZE = [400, 620]


def inner(front: FrontEnd) -> tuple[dict[str, Any], dict[str, str]]:
    """The dual-prompt template's graph with a preview; its nodes' numbers by their keys."""
    nodes = [PREVIEW if node.kind == "SaveImage" else node for node in TWO_PROMPTS.nodes()]
    front.load(making.EMPTY)
    numbers = making.made(front, nodes, NAME)
    sizes = making.sizes(front, numbers)
    keys = {node.key: new.key for node, new in zip(TWO_PROMPTS.nodes(), nodes, strict=True)}
    boxes = placed(TWO_PROMPTS, {**{key: sizes[new] for key, new in keys.items()}, NOTE: (0, 0)})
    x, y, width, _ = boxes.pop(next(key for key, new in keys.items() if new == PREVIEW.key))
    boxes.pop(NOTE)
    making.place(front, numbers, {**boxes, PREVIEW.key: (x, y, width, 440)})
    # Each run has a new seed, as in a graph with the sampler in it.
    front.page.evaluate(RANDOMIZE, numbers["sampler"])
    return front.page.evaluate("() => app.graph.serialize()"), numbers


def blueprint(front: FrontEnd) -> dict[str, Any]:
    graph, numbers = inner(front)
    takes = [(int(numbers[key]), name, outside) for key, name, outside in TAKES]
    definition = folded(NAME, graph, takes, [(int(numbers["decode"]), 0, "IMAGE")], TEXTS)
    front.load({**making.EMPTY, "definitions": {"subgraphs": [definition]}})
    making.made(front, [Node("outer", definition["id"], NAME)], NAME)
    front.page.evaluate(
        "([size, colour]) => { const [node] = app.graph.nodes; node.setSize(size); Object.assign(node, colour); }",
        [SIZE, COLOUR],
    )
    whole = tidied(front.page.evaluate("() => app.graph.serialize()"))
    for node in whole["nodes"]:
        node["properties"].pop("previewExposures", None)  # so that the front end looks for the preview inside
    return {
        key: whole[key]
        for key in ("revision", "last_node_id", "last_link_id", "nodes", "links", "definitions", "version")
    }


def main() -> None:
    path = browser.find()
    if path is None:
        raise SetupError(f"no browser: {browser.HOW_TO}")
    with Server() as server, front_end.browser(path) as started:
        front = FrontEnd(started, server, width=WINDOW[0], height=WINDOW[1])
        FILE.write_text(json.dumps(blueprint(front), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    as_command(main)
