"""Workflows and scripts made with the last release still work: no node of it has changed in a way that breaks them.

devtools/schema_rules.py says what may change, `python dev.py run devtools.released` keeps a release's nodes.
"""

import json

from flux_duet.devtools import released
from flux_duet.devtools.schema_rules import breaches
from flux_duet.nodes.sample.choices import OFFICIAL


def test_nothing_of_the_last_release_is_broken():
    before = released.kept()
    assert before["nodes"], "no release is kept: python dev.py run devtools.released"
    assert breaches(before["nodes"], released.nodes()) == [], f"see the promises of release {before['version']}"


def test_a_node_is_described_as_workflows_save_it():
    """Values in a saved workflow: a seed takes two places, and optional widgets stand last."""
    nodes = released.nodes()
    inputs = {each["name"]: each for each in nodes["FluxDuetSampler"]["inputs"]}
    assert inputs["seed"]["widgets"] == 2 and inputs["steps"]["widgets"] == 1 and inputs["model"]["widgets"] == 0
    assert inputs["scheduler"]["options"] == [OFFICIAL], "ComfyUI's own schedulers are not ours to promise"
    vecs = {each["name"]: each for each in nodes["FluxDuetSchedule"]["inputs"]}["vecs"]
    assert vecs["slots"] and vecs["type"] == "COMFY_AUTOGROW_V3"


def test_what_is_written_is_what_is_read():
    nodes = released.nodes()
    assert json.loads(released.written("1.2.3", nodes)) == {"version": "1.2.3", "nodes": nodes}
