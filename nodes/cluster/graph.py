"""Cuts a running API workflow to what a cell needs, and puts a cell's own nodes on it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Prompt = Mapping[str, Mapping[str, Any]]  # ComfyUI's API format: node id -> {"class_type", "inputs"}
Link = list  # [node id, number of the output]

OWN = "flux_duet_"  # begins the ids of nodes that are added
# Loaders of LoRAs, for which a cell needs the MODEL alone: without their CLIP no worker loads a text encoder.
WITHOUT_CLIP = {
    "LoraLoader": ("LoraLoaderModelOnly", ("model", "lora_name", "strength_model")),
    "FluxDuetLora": ("FluxDuetLora", None),
}
CLIPS = ("clip", "t5")
MODEL_OUTPUT = 0  # of those loaders


def is_link(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str)


def links_of(node: Mapping[str, Any]) -> Iterable[tuple[str, Link]]:
    """(input, link) for each connected input of a node."""
    return ((name, list(value)) for name, value in node["inputs"].items() if is_link(value))


def source(prompt: Prompt, node: str, name: str, told: str) -> Link | None:
    """The link of a node's input; None if it is not connected. `told` is the node's name for the error.

    Raises ValueError if the node is not in the workflow, which is so for a node that another one expands into.
    """
    if node not in prompt:
        raise ValueError(
            f"{told}: workers cannot be used in a node that another node creates during the run, because the workflow "
            "does not show its connections."
        )
    value = prompt[node]["inputs"].get(name)
    return list(value) if is_link(value) else None


def cut(prompt: Prompt, links: Sequence[Link | None]) -> dict[str, dict[str, Any]]:
    """The nodes that these links need, without text encoders where only a MODEL is used."""
    used = _used(prompt, links)
    slim = {id: _without_clip(prompt[id]) for id, slots in used.items() if slots == {MODEL_OUTPUT}}
    slim = {id: node for id, node in slim.items() if node is not None}
    kept = _used({**prompt, **slim}, links)
    return {id: _plain(slim.get(id, prompt[id])) for id in kept}


def _used(prompt: Prompt, links: Sequence[Link | None]) -> dict[str, set[int]]:
    """The outputs that are used of each node that is needed."""
    found: dict[str, set[int]] = {}
    left = [link for link in links if link is not None]
    while left:
        id, slot = left.pop()
        if id not in prompt:
            continue
        if id not in found:
            left += [link for _, link in links_of(prompt[id])]
        found.setdefault(id, set()).add(slot)
    return found


def _without_clip(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """A LoRA loader that returns the same MODEL without a CLIP; None for any other node."""
    if node["class_type"] not in WITHOUT_CLIP:
        return None
    kind, names = WITHOUT_CLIP[node["class_type"]]
    inputs = node["inputs"]
    kept = {name: inputs[name] for name in (names or inputs) if name in inputs and name not in CLIPS}
    return {"class_type": kind, "inputs": kept}


def _plain(node: Mapping[str, Any]) -> dict[str, Any]:
    return {"class_type": node["class_type"], "inputs": dict(node["inputs"])}


def texts(prompt: Prompt) -> list[str]:
    """All short texts in a workflow's widgets: some of them are names of files."""
    values = (value for node in prompt.values() for value in node["inputs"].values())
    return sorted({value for value in values if isinstance(value, str) and 0 < len(value) < 500 and "\n" not in value})


def kinds(prompt: Prompt) -> list[str]:
    """The node types in a workflow."""
    return sorted({node["class_type"] for node in prompt.values()})
