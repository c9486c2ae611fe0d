"""FLUX.1's sizes stand once in nodes/flux1_sizes.py, and the front end's mirror has the same."""

import ast
import json
import re
from pathlib import Path

import pytest

from flux_duet.nodes import flux1_sizes

ROOT = Path(__file__).parents[2]
MIRROR = ROOT / "js" / "lib" / "flux1_sizes.mjs"
# What a file would write that does not ask for them. Others, such as 256 and 4096, are sizes of other things, too.
TELLING = {flux1_sizes.SINGLE, flux1_sizes.BLOCKS, flux1_sizes.VEC_WIDTH, flux1_sizes.CLIP_POSITIONS}


def test_they_are_the_same_in_both_languages():
    written = dict(re.findall(r"^export const (\w+) = (.+?);", MIRROR.read_text("utf-8"), re.MULTILINE))
    found = {name: json.loads(re.sub(r"(\w+):", r'"\1":', value)) for name, value in written.items()}
    (few, _), (many, most) = flux1_sizes.MU_LINE
    assert found == {
        "BLOCKS": {"double": flux1_sizes.DOUBLE, "single": flux1_sizes.SINGLE},
        "CLIP_POSITIONS": flux1_sizes.CLIP_POSITIONS,
        "LONG_CLIP_POSITIONS": flux1_sizes.LONG_CLIP_POSITIONS,
        "TOKEN": flux1_sizes.TOKEN,
        "MU_TOKENS": [few, many],
        "DEV_SHIFT": most,
    }


@pytest.mark.parametrize("path", sorted((ROOT / "nodes").rglob("*.py")), ids=lambda path: path.stem)
def test_no_other_file_has_them(path):
    if path.name != "flux1_sizes.py":
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        found = [node.lineno for node in nodes if isinstance(node, ast.Constant) and type(node.value) is int
                 and node.value in TELLING]  # fmt: skip
        assert not found, f"lines {found}: take them from nodes/flux1_sizes.py"


def test_no_other_file_of_the_front_end_has_them():
    for path in (ROOT / "js").rglob("*.mjs"):
        if path != MIRROR:
            text = re.sub(r"\"[^\"]*\"|`[^`]*`|//.*", "", path.read_text("utf-8"))
            assert not {int(each) for each in re.findall(r"(?<![\w.#])\d+(?![\w.%])", text)} & TELLING, path
