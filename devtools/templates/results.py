"""Pictures that a template's run gives, changed in this or that input. Runs inside the environment."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

from PIL import Image

from ..server import Server
from . import API

Prompt = dict[str, dict[str, Any]]
CLIP_TEXT, T5_TEXT = ("FluxDuetClipEncode", "text"), ("FluxDuetT5Encode", "text")
SEED = ("FluxDuetSampler", "seed")


def named(prompt: Prompt, kind: str, number: int = 0) -> str:
    """The id of a node by its type; `number` counts those of the type."""
    return [node for node, data in prompt.items() if data["class_type"] == kind][number]


def shown_by(prompt: Prompt, title: str) -> list[Any]:
    """What the node with this title shows, as a link."""
    shown = [
        data["inputs"]["images"]
        for data in prompt.values()
        if data["_meta"]["title"] == title and "images" in data["inputs"]
    ]
    return shown[0]


class Results:
    """Runs templates on a server as a window with ComfyUI's dark theme; `of` gives the pictures of one run."""

    CLIENT = "templates"

    def __init__(self, server: Server):
        self.server = server
        server.post("/flux_duet/theme", {"client": self.CLIENT, "dark": True})

    @staticmethod
    def prompt(slug: str) -> Prompt:
        return json.loads((API / f"{slug}.json").read_text(encoding="utf-8"))

    def of(self, prompt: Prompt, *sources: list[Any], masks: bool = False) -> list[list[Image.Image]]:
        """For each source, a link such as ["7", 0], its pictures; of a MASK if `masks` is set."""
        asked = {
            node: data
            for node, data in copy.deepcopy(prompt).items()
            if data["class_type"] not in ("SaveImage", "PreviewImage")
        }
        for number, source in enumerate(sources):
            if masks:
                asked[f"mask{number}"] = {"class_type": "MaskToImage", "inputs": {"mask": source}}
                source = [f"mask{number}", 0]
            asked[f"show{number}"] = {"class_type": "PreviewImage", "inputs": {"images": source}}
        files = self.server.run(asked, extra={"client_id": self.CLIENT}).files
        return [
            [Image.open(io.BytesIO(data)).convert("RGB") for data in files[f"show{number}"]]
            for number in range(len(sources))
        ]

    def picture(self, prompt: Prompt, kind: str = "FluxDuetDecode", number: int = 0) -> Image.Image:
        return self.of(prompt, [named(prompt, kind, number), 0])[0][0]

    def decoded(self, prompt: Prompt, source: list[Any]) -> list[Image.Image]:
        """The pictures of a batch of latents."""
        asked = {
            **prompt,
            "decoded": {
                "class_type": "FluxDuetDecode",
                "inputs": {"vae": [named(prompt, "VAELoader"), 0], "samples": source},
            },
        }
        return self.of(asked, ["decoded", 0])[0]


def changed(prompt: Prompt, *changes: tuple[tuple[str, str], Any]) -> Prompt:
    """The prompt with ((type, input), value) set in every node of the type."""
    result = copy.deepcopy(prompt)
    for (kind, name), value in changes:
        for data in result.values():
            if data["class_type"] == kind:
                data["inputs"][name] = value
    return result
