"""Sizes a reader can hold: no file over 300 lines and no function over a screen, in all of the pack's Python."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("nodes", "nano", "bench", "check", "devtools", "tests")
PATHS = [*ROOT.glob("*.py"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))]
SOURCES = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in sorted(PATHS)}
LONGEST_FILE, LONGEST_FUNCTION = 300, 40


def too_long(text: str) -> list[str]:
    """What is over its limit in a file; a function is counted from its `def`, without decorators."""
    found = [f"is longer than {LONGEST_FILE} lines"] if text.count("\n") > LONGEST_FILE else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.end_lineno - node.lineno >= LONGEST_FUNCTION:
                found.append(f"{node.name} is longer than {LONGEST_FUNCTION} lines")
    return found


@pytest.mark.parametrize("path", SOURCES)
def test_sizes_a_reader_can_hold(path):
    assert too_long(SOURCES[path]) == []


BODY = "    x = 1\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n" * 300, []),
        ("x = 1\n" * 301, ["is longer than 300 lines"]),
        ("def f():\n" + BODY * 39, []),
        ("def f():\n" + BODY * 40, ["f is longer than 40 lines"]),
        ("async def f():\n" + BODY * 40, ["f is longer than 40 lines"]),
        ("class C:\n    def f(self):\n" + f"    {BODY}" * 40, ["f is longer than 40 lines"]),
    ],
)
def test_the_limits_bite(text, expected):
    assert too_long(text) == expected
