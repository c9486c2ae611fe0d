"""A node's help page names every input and output of the node, and no others, and the options that are the pack's."""

import re

import pytest
from comfy_api.latest import io

from flux_duet.devtools import ROOT
from flux_duet.devtools.locales import schemas

SCHEMAS = {schema.node_id: schema for schema in schemas()}
NODES = pytest.mark.parametrize("node", SCHEMAS)
CODE = re.compile(r"`([^`\n]+)`")
COMFYUI_S = ("sampler", "scheduler", "clip_name", "t5_name", "file", "clip_file", "t5_file")  # not our options


def page(node: str) -> str:
    return (ROOT / "js" / "docs" / f"{node}.md").read_text(encoding="utf-8")


def listed(node: str, head: str) -> set[str]:
    """What stands in backticks in the first column of the tables with that head."""
    tables = re.findall(rf"^\| {head} \|.*\n\|[-| ]+\n((?:\|.*\n)*)", page(node), re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    return {name for row in rows for name in CODE.findall(row.split("|")[1])}


def inputs(node: str) -> tuple[set[str], set[str]]:
    """The inputs as the node shows them, and the sockets that some of them grow."""
    found = SCHEMAS[node].inputs
    grown = {name for each in found if isinstance(each, io.Autogrow.Input) for name in each.template.names}
    return {each.display_name or each.id for each in found}, grown


def outputs(node: str) -> set[str]:
    return {each.display_name or each.io_type for each in SCHEMAS[node].outputs}


@NODES
def test_every_input_is_named(node):
    named, grown = inputs(node)
    assert named <= listed(node, "input"), "in the table of inputs"
    assert listed(node, "input") <= named | grown, "an input that the node does not have"


@NODES
def test_every_output_is_named(node):
    assert listed(node, "output") == outputs(node), "in the table of outputs"


@NODES
def test_every_option_is_explained(node):
    text = page(node)
    combos = [each for each in SCHEMAS[node].inputs if isinstance(each, io.Combo.Input) and each.id not in COMFYUI_S]
    missing = [(each.id, option) for each in combos for option in each.options if option not in text]
    assert not missing
