"""Under which names ComfyUI keeps things, nodes/keys.py alone says: no other file of nodes/ looks them up as texts."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from flux_duet.nodes import keys

NODES = Path(__file__).parents[2] / "nodes"
KEYS = {value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str)}
# The pack's own names, in a file of maps and for a recorder, that are the same words.
OWN = {"probe/heat/stored.py": {"sigmas"}, "probe/influence/recorder.py": {"y"}}
PATHS = [path.relative_to(NODES).as_posix() for path in sorted(NODES.rglob("*.py")) if path.name != "keys.py"]


def looked_up(text: str) -> Iterator[str]:
    """Texts by which a source looks something up: `x["key"]`, `x.get("key")`, `"key" in x`, and in sets of keys."""
    for node in ast.walk(ast.parse(text)):
        asked: list[ast.expr] = []
        if isinstance(node, ast.Subscript):
            asked = [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop"):
            asked = node.args[:1]
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            asked = [node.left]
        elif isinstance(node, ast.Set):
            asked = node.elts
        yield from (each.value for each in asked if isinstance(each, ast.Constant) and isinstance(each.value, str))


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith("compat/")])
def test_names_of_comfyui_stand_in_one_file(path):
    found = set(looked_up((NODES / path).read_text("utf-8"))) & KEYS
    assert found - OWN.get(path, set()) == set(), "take them from nodes/keys.py"


def test_lookups_are_found():
    text = "a['uuid']; b.get('samples', 1); 'area' in c; 'mask' not in c; {'uuids'} <= d; e('hooks'); {'y': 1}"
    assert set(looked_up(text)) == {"uuid", "samples", "area", "mask", "uuids"}
