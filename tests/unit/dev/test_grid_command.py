"""`dev.py grid`: which nodes of a workflow it connects to workers, and what it asks of them."""

import json

import pytest

from flux_duet.devtools import ROOT, SetupError, grid

API = ROOT / "workflows" / "api"


def options(*more: str):
    return grid.parse(["x.json", *more])


@pytest.mark.parametrize(("name", "ids", "output"), [("prompt_grid", ["6"], 3), ("switch_sweep", ["11"], 3)])
def test_grids_and_sweeps_get_the_workers(name, ids, output):
    prompt = json.loads((API / f"{name}.json").read_text())
    found = grid.on_workers(prompt, options("--ray", "10.0.0.1:6379", "--gpus", "0", "--count", "3"), "--lowvram")
    (workers,) = [id for id, node in found.items() if node["class_type"] == "FluxDuetRay"]
    assert found[workers]["inputs"] == {
        "address": "10.0.0.1:6379", "count": 3, "gpus": 0.0, "comfyui": "", "arguments": "--lowvram",
    }  # fmt: skip
    assert [id for id, node in found.items() if node["inputs"].get("workers") == [workers, 0]] == ids
    shown = [node["inputs"]["source"] for node in found.values() if node["class_type"] == "PreviewAny"]
    assert shown == [[id, output] for id in ids]


def test_a_workflow_without_work_for_workers_is_refused():
    with pytest.raises(SetupError, match="nothing for workers"):
        grid.on_workers(json.loads((API / "dual_prompt.json").read_text()), options(), "")
