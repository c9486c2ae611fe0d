"""Every public name of nodes/compat has a contract test, in the test file of the same name."""

import ast
from pathlib import Path

import pytest

from flux_duet.tests.contracts.conftest import COMPAT, public_names

STEMS = [path.stem for path in sorted(COMPAT.glob("*.py")) if path.stem != "__init__"]


@pytest.mark.parametrize("stem", STEMS)
def test_each_function_has_a_contract_test(stem):
    tree = ast.parse((Path(__file__).parent / f"test_{stem}.py").read_text("utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == stem}
    assert public_names(stem) - used == set()


@pytest.mark.parametrize("stem", STEMS)
def test_each_contract_says_what_the_pack_relies_on(stem):
    tree = ast.parse((Path(__file__).parent / f"test_{stem}.py").read_text("utf-8"))
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    assert tests
    assert [test.name for test in tests if not ast.get_docstring(test)] == []
