"""The CI's workflows and commit hooks call only existing commands of dev.py, checks and files."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from flux_duet.devtools import ROOT, cli
from flux_duet.devtools.lint import CHECKS

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOKS = ROOT / ".pre-commit-config.yaml"


def read(path: Path) -> dict:
    return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # strings alone: `on` is no truth value


def steps() -> list[tuple[str, dict]]:
    return [(path.name, step) for path in WORKFLOWS for job in read(path)["jobs"].values() for step in job["steps"]]


def commands() -> list[tuple[str, str]]:
    """(file, command line) of every call of dev.py."""
    lines = [(name, line.strip()) for name, step in steps() for line in step.get("run", "").splitlines()]
    hooks = [(HOOKS.name, hook["entry"]) for repo in read(HOOKS)["repos"] for hook in repo["hooks"]]
    return [(name, line) for name, line in [*lines, *hooks] if "dev.py" in line]


def words(line: str) -> list[str]:
    """dev.py's arguments; what the shell makes of its output is cut off."""
    found = shlex.split(re.split(r"\s(?:2?>|\||&&)", line)[0])
    return found[found.index("dev.py") + 1 :]


def test_there_are_workflows_and_all_of_them_call_dev_py():
    assert {name for name, _ in commands()} == {*(path.name for path in WORKFLOWS), HOOKS.name}
    assert len(WORKFLOWS) >= 2


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_whole(path):
    workflow = read(path)
    assert workflow["name"] and workflow["on"]
    assert workflow["permissions"]["contents"] == "read"
    for job in workflow["jobs"].values():
        assert job["runs-on"] and int(job["timeout-minutes"]) <= 60
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            assert "@" in step.get("uses", "@"), "an action without a version changes under us"


@pytest.mark.parametrize("name, line", commands())
def test_a_command_of_dev_py_is_one_that_it_has(name, line):
    options, rest = cli.parse(words(line))
    assert options.command
    if options.command == "lint":
        assert set(options.checks) <= set(CHECKS)
    for word in rest:
        assert not word.startswith("tests/") or (ROOT / word).exists(), f"{name}: there is no {word}"


def test_the_matrix_is_of_the_systems_and_pythons_that_are_supported():
    matrix = read(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["fast"]["strategy"]["matrix"]
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "windows", "macos"}
    assert matrix["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert 'requires-python = ">=3.10"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
