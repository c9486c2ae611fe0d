"""The colours are defined once in nodes/palette.py; the front end's copies, groups and sheets have the same."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from flux_duet.nodes import palette

ROOT = Path(__file__).parents[2]
JS = ROOT / "js" / "lib"


def as_hex(colour: palette.Colour) -> str:
    return "#" + bytes(colour).hex()


def as_listed(name: str) -> dict[str, str]:
    """The names and colours of palette.mjs that stand as `name: "#..."` or `name = "#..."`."""
    return dict(re.findall(r"(\w+)(?:: | = )\"(#[0-9a-f]{6})\"", (JS / name).read_text("utf-8")))


def test_the_hues_of_the_streams_are_the_same_in_both_languages():
    listed = as_listed("palette.mjs")
    assert (listed["CLIP"], listed["T5"]) == (as_hex(palette.LIGHT.clip), as_hex(palette.LIGHT.t5))


def test_the_hues_of_a_grids_parts_are_the_same_in_both_languages():
    listed = as_listed("palette.mjs")
    text = (JS / "palette.mjs").read_text("utf-8")
    names = re.split(r",\s+", re.search(r"PARTS = \{\s+(.*?)\s+\}", text, re.DOTALL)[1])
    shown = {part: listed.get(hue, hue.strip('"')) for part, hue in (each.split(": ") for each in names)}
    assert shown == {part: as_hex(palette.LIGHT.of(part)) for part in palette.PARTS}


def test_the_heat_colours_are_the_same_in_both_languages():
    text = (JS / "cividis.mjs").read_text("utf-8")
    listed = re.search(r"const CIVIDIS = (\[.*?\n\]);", text, re.DOTALL)[1]
    assert json.loads(re.sub(r",\s*\]$", "]", listed)) == [list(colour) for colour in palette.CIVIDIS]


def test_a_map_covers_as_much_in_both_languages():
    text = (JS.parent / "heatmap" / "picture.mjs").read_text("utf-8")
    assert int(re.search(r"const OPACITY = (\d+);", text)[1]) == palette.OPACITY


def test_no_other_file_has_a_hue_of_its_own():
    """Prompt Inspector once had other colours for CLIP and T5, and two files defined them."""
    for path in sorted((ROOT / "nodes").rglob("*.py")):
        if path != ROOT / "nodes" / "palette.py":
            lines = list(coloured_lines(ast.parse(path.read_text("utf-8"))))
            assert not lines, f"{path.relative_to(ROOT)} has colours in lines {lines}: take them from nodes/palette.py"
    for path in sorted((ROOT / "js").rglob("*.?js")):
        if path.parent != JS:
            text = path.read_text("utf-8")
            assert not any(as_hex(palette.LIGHT.of(part)) in text for part in palette.PARTS), path


def coloured_lines(tree: ast.Module) -> Iterator[int]:
    """Where three numbers stand as one value that would be a colour and no grey."""
    unpacked = {id(node.value) for node in ast.walk(tree)
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple) and id(node) not in unpacked:
            values = [each.value if isinstance(each, ast.Constant) else None for each in node.elts]
            if len(values) == 3 and all(type(each) is int for each in values) and is_coloured(values):
                yield node.lineno


def is_coloured(values: list[int]) -> bool:
    return 40 < max(values) < 256 and max(values) - min(values) > 20
