"""Random workflows for a real server: fast nodes with odd widget values, and wrong or missing links."""

import json
import random
from typing import Any

import psutil

from ..server import PACK, Server
from . import inputs, others
from .figures import LONGEST, Figures, Timer

KIND = "workflows"
NATIVE = {"MASK": "SolidMask", "LATENT": "EmptySD3LatentImage", "IMAGE": "EmptyImage", "MODEL": "UNETLoader"}
# None of these samples. Their outputs come from /object_info.
CHEAP = ("ClipEncode", "T5Encode", "DualPrompt", "Split", "Inspect", "BlendVec", "BlendTxt", "ClipNegative", "Region",
         "Route", "Nag", "Schedule", "ScheduleText", "PromptAt", "Only", "Sigmas", "SaveStream", "LoadStream", "Store",
         "LoadClip", "LoadT5", "Shape", "Apply", "Heatmap", "Influence", "Decode")  # fmt: skip
DEEP = 4  # the longest chain of nodes; then links are left out
NUMBERS = (0, 1, -1, 0.5, 7, 64, 10**9, -(10**9), 10**400, 1e308, float("nan"), float("inf"))
VALIDATED = ("prompt_outputs_failed_validation", "prompt_no_outputs", "invalid_prompt", "missing_node_type")
IN_VALIDATION = ("exception_during_validation", "exception_during_inner_validation")  # errors without a clear message


class Workflows:
    """Creates workflows from a server's nodes, and records its responses.

    `stream` is a saved embedding, for its input folder.
    """

    def __init__(self, server: Server, figures: Figures, stream: bytes):
        self.server, self.figures = server, figures
        self._process = psutil.Process(server.process.pid)
        (server.base / "input" / "whole.safetensors").write_bytes(stream)
        (server.base / "input" / "cut.safetensors").write_bytes(stream[:900])
        known = server.get("/object_info")
        names = [f"FluxDuet{name}" for name in CHEAP] + [*NATIVE.values(), "PreviewAny"]
        self.nodes = {name: known[name] for name in names if name in known}
        self.makers: dict[str, list[tuple[str, int]]] = {}
        for name, schema in self.nodes.items():
            for slot, kind in enumerate(schema["output"]):
                self.makers.setdefault(kind, []).append((name, slot))

    def run_one(self, rng: random.Random, most: int) -> None:
        prompt = self.made(rng, most)
        self.figures.tried[KIND] += 1
        timer = Timer(lambda: others.spent(self._process))
        result = self.server.run(prompt, check=False, timeout=120)
        kinds = " ".join(node["class_type"].removeprefix("FluxDuet") for node in prompt.values())
        self.figures.took(KIND, *timer.read(), kinds[:60])
        self._judge(result, prompt)

    # ---- making one

    def made(self, rng: random.Random, most: int) -> dict[str, Any]:
        """A workflow in API format, with at least one output node."""
        prompt: dict[str, Any] = {}
        name = f"FluxDuet{rng.choice(CHEAP)}"
        node = self._add(prompt, name, rng, most, DEEP)
        for slot in range(len(self.nodes[name]["output"])):
            prompt[str(len(prompt) + 1)] = {"class_type": "PreviewAny", "inputs": {"source": [node, slot]}}
        if rng.random() < 0.3:
            _spoil(rng, prompt)
        return prompt

    def _add(self, prompt: dict, name: str, rng: random.Random, most: int, deep: int) -> str:
        node = str(len(prompt) + 1)
        prompt[node] = {"class_type": name, "inputs": {}}
        schema = self.nodes[name]["input"]
        for part in ("required", "optional"):
            for field, given in schema.get(part, {}).items():
                if rng.random() < (0.995 if part == "required" else 0.6):
                    kind, options = given[0], given[1] if len(given) > 1 else {}
                    value = self._value(prompt, kind, options, rng, most, deep)
                    if value is not None:
                        prompt[node]["inputs"][field] = value
        return node

    def _value(self, prompt: dict, kind: Any, options: dict, rng: random.Random, most: int, deep: int) -> Any:
        choices = kind if isinstance(kind, list) else options.get("options") if kind == "COMBO" else None
        if choices is not None:
            return rng.choice(choices) if choices and rng.random() < 0.995 else rng.choice(inputs.ODD)
        is_widget = kind in ("STRING", "INT", "FLOAT", "BOOLEAN")  # a constant instead of a link is not checked
        if is_widget and rng.random() < 0.01:
            return rng.choice(inputs.ODD)
        if kind == "STRING":
            return rng.choice((inputs.text, inputs.timelines, inputs.blocks))(rng, most)
        if kind in ("INT", "FLOAT"):
            bounds = [options.get("min", 0), options.get("max", 1)]
            return rng.choice((options.get("default", 1),) * 8 + (*bounds, *bounds, *bounds, rng.choice(NUMBERS)))
        if kind == "BOOLEAN":
            return rng.random() < 0.5
        return self._link(prompt, kind, rng, most, deep)

    def _link(self, prompt: dict, kind: str, rng: random.Random, most: int, deep: int) -> list | None:
        """A link to an existing or a new node; sometimes of a wrong type."""
        if rng.random() < 0.005:
            kind = rng.choice(sorted(self.makers))
        makers = self.makers.get(kind.split(",")[0])
        if not makers or not deep:
            return None
        there = [
            [node, slot]
            for node, each in prompt.items()
            for name, slot in makers
            if each["class_type"] == name and each.get("whole")
        ]
        if there and rng.random() < 0.5:
            return rng.choice(there)
        name, slot = rng.choice(makers)
        node = self._add(prompt, name, rng, most, deep - 1)
        prompt[node]["whole"] = True  # complete: links to it make no loop
        return [node, slot]

    # ---- judging the answer

    def _judge(self, result: Any, prompt: dict) -> None:
        if result.status == "success" and not result.node_errors:
            return
        self.figures.refused[KIND] += 1
        for wrong in result.node_errors.values():
            for each in wrong["errors"]:
                # ComfyUI itself fails for a link to a missing node.
                if each["type"] in IN_VALIDATION and f"custom_nodes/{PACK}" in json.dumps(each["extra_info"]):
                    self.figures.fault(f"{KIND}: {wrong['class_type']} {each['details']:.200}")
        error = result.error or {}
        if result.status == "rejected" and error.get("type") not in VALIDATED:
            self.figures.fault(f"{KIND}: rejected with {error!r:.200}")
        if result.status == "error" and str(error.get("node_type")).startswith("FluxDuet"):
            self._judge_error(error, prompt)

    def _judge_error(self, error: dict, prompt: dict) -> None:
        message, last = str(error.get("exception_message")), (error.get("traceback") or [""])[-1].strip()
        ours = f"custom_nodes/{PACK}/nodes/" in last.replace("\\", "/") and "\n    raise " in last
        if error.get("exception_type") != "ValueError" or not ours or not 0 < len(message) <= LONGEST:
            given = prompt.get(str(error.get("node_id")), {}).get("inputs")
            what = f"{error.get('exception_type')} {message:.120} by {last:.160}"
            self.figures.fault(f"{KIND}: {error['node_type']}: {what} for {given!r:.100}")


def _spoil(rng: random.Random, prompt: dict) -> None:
    """Adds a link to nothing or to the node itself, an extra input, or an unknown node, or removes all outputs."""
    node = rng.choice(sorted(prompt))
    linked = [field for field, value in prompt[node]["inputs"].items() if isinstance(value, list) and len(value) == 2]
    kind = rng.randrange(6)
    if kind == 0 and linked:
        wrong = rng.choice(([node, 0], ["999", 0], ["1", 99], ["1", -1], ["1", "0"]))
        prompt[node]["inputs"][rng.choice(linked)] = wrong
    elif kind == 1:
        prompt[node]["inputs"][rng.choice(("other", "text", "clip"))] = rng.choice(inputs.ODD)
    elif kind == 2:
        prompt[node]["class_type"] = rng.choice(("FluxDuetNothing", "", "KSampler"))
    elif kind == 3:
        del prompt[node]
    elif linked:
        prompt[node]["inputs"].pop(rng.choice(linked))
