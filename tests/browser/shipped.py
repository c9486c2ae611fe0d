"""The shipped workflows, by the names of their API files."""

import json
from pathlib import Path

from flux_duet.devtools.templates import NAMES

WORKFLOWS = Path(__file__).parents[2] / "workflows"
STEPS = 1  # the place of the steps among the values of the subgraph that samples


def shipped(slug: str) -> dict:
    return json.loads((WORKFLOWS / f"{NAMES[slug]}.json").read_text(encoding="utf-8"))


def in_steps(workflow: dict, steps: int) -> dict:
    """The workflow with fewer steps in the subgraph that samples."""
    kinds = {each["id"] for each in workflow["definitions"]["subgraphs"]}
    for node in workflow["nodes"]:
        if node["type"] in kinds:
            node["widgets_values"][STEPS] = steps
    return workflow
