"""The project passes each tool of `dev.py lint`, and each tool reports a planted fault."""

import shutil
import sys
from pathlib import Path

import pytest

from flux_duet.devtools import ROOT, SetupError, environment, lint, npm

CONFIGS = ("pyproject.toml", "jsconfig.json", "eslint.config.cjs", "devtools/js/comfyui.d.ts")
HEAD = 'import { app } from "../../scripts/app.js";\n\n'

# Faults that a tool must find, and the words in its report.
FAULTS = {
    "ruff": ("nodes/x.py", "import os\n", "F401"),
    "format": ("nodes/x.py", "x = {  'a':1 }\n", "reformat"),
    "mypy": ("nodes/x.py", "def f(x: int) -> str:\n    return x\n", "return-value"),
    "tsc": ("js/x.js", f"{HEAD}app.registerExtension({{ name: 'x', nodeMade() {{}} }});\n", "nodeMade"),
    "eslint": ("js/x.mjs", "export var x = 1;\n", "no-var"),
}


@pytest.fixture
def tools() -> lint.Tools:
    return lint.Tools(Path(sys.executable), environment.cache_folder())


def output_of(tools: lint.Tools, name: str, root: Path = ROOT) -> str:
    """The check's report; a missing tool fails the test with one line."""
    try:
        tools.require([lint.CHECKS[name].module])
        return tools.run(lint.CHECKS[name], root)
    except SetupError as error:
        return pytest.fail(str(error), pytrace=False)


@pytest.mark.parametrize("name", lint.CHECKS)
def test_the_project_is_clean(tools, name):
    if words := output_of(tools, name):
        pytest.fail(f"python dev.py lint {name}\n{words}", pytrace=False)


@pytest.mark.parametrize("name", lint.CHECKS)
def test_each_tool_bites(tools, tmp_path, name):
    place, fault, words = FAULTS[name]
    for config in CONFIGS:
        (tmp_path / config).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / config, tmp_path / config)
    source = tmp_path / place
    source.parent.mkdir(exist_ok=True)
    source.write_text(fault, encoding="utf-8")
    assert words in output_of(tools, name, tmp_path)


def test_a_missing_tool_is_reported_in_one_line(tools):
    words = r"has no no_such_tool; give it what checks need: .* -r .*requirements-dev\.txt$"
    with pytest.raises(SetupError, match=words):
        tools.require(["pytest", "no_such_tool"])


def test_an_unknown_check_is_reported(tools):
    with pytest.raises(SetupError, match="no check pylint; choose from ruff, format, mypy, tsc, eslint"):
        lint.lint(tools, ["pylint"])


def test_what_failed_is_named(tools, monkeypatch, capsys):
    found = {"ruff": "", "mypy": "x.py:1: error"}
    monkeypatch.setattr(lint.Tools, "run", lambda self, check, **_: found[check.module])
    with pytest.raises(SetupError, match="^mypy found something"):
        lint.lint(tools, ["ruff", "mypy"])
    captured = capsys.readouterr()
    assert captured.out == "x.py:1: error\n"
    assert "ruff: fine" in captured.err and "mypy: FAILED" in captured.err


# npm's packages


@pytest.fixture
def packages(tmp_path, monkeypatch) -> Path:
    """A project with a package.json and a package-lock.json of its own."""
    for name in npm.FILES:
        (tmp_path / name).write_text("{}\n", encoding="utf-8")
    monkeypatch.setattr(npm, "ROOT", tmp_path)
    return tmp_path


def test_changed_packages_are_another_folder(packages):
    key = npm.key()
    (packages / "package-lock.json").write_text("{}\r\n", encoding="utf-8", newline="")  # as Git may check it out
    assert npm.key() == key
    (packages / "package-lock.json").write_text('{"packages": {}}\n', encoding="utf-8")
    assert npm.key() != key


def test_ready_packages_need_no_network_and_no_node(packages):
    (packages / "npm" / npm.key()).mkdir(parents=True)
    (packages / "npm" / npm.key() / npm.READY).touch()
    assert npm.provide(Path("no-python"), packages) == packages / "npm" / npm.key() / "node_modules"


OFFLINE = "npm warn x\nnpm error code EAI_AGAIN\nnpm error syscall getaddrinfo\nnpm error A complete log of this run\n"


@pytest.mark.parametrize(
    "output, reason", [(OFFLINE, "npm says EAI_AGAIN"), ("broken.\n", "broken"), ("", "no output")]
)
def test_a_failing_npm_is_reported_in_one_line_and_tried_again(packages, monkeypatch, output, reason):
    ran = []

    def run(command, **_):
        ran.append(command)
        return npm.subprocess.CompletedProcess(command, len(ran) % 2, output.encode())

    monkeypatch.setattr(npm.subprocess, "run", run)
    with pytest.raises(SetupError) as error:
        npm.provide(Path("python"), packages)
    assert f"could not be installed: {reason}. Check the network" in str(error.value) and "\n" not in str(error.value)
    npm.provide(Path("python"), packages)
    assert len(ran) == 2


def test_the_lock_file_names_no_registry():
    """`resolved` would name whatever registry it was written with; omit-lockfile-registry-resolved leaves it out."""
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text and text.count('"integrity"') > 50
