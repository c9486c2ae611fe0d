"""Shared by the contract tests: tiny real models, and reports that name the functions of nodes/compat that broke."""

import ast
import sys
from pathlib import Path
from types import CodeType, FunctionType

import comfy.sd
import comfyui_version
import pytest
import torch

from flux_duet.tests.comfy.conftest import save_models, tiny  # noqa: F401 - fixtures

HERE = Path(__file__).parent
COMPAT = HERE.parents[1] / "nodes" / "compat"
BROKEN = "broken contract"


def public_names(stem: str) -> set[str]:
    """The public names of a file of nodes/compat: its own functions and constants, and classes in its `__all__`."""
    names: set[str] = set()
    for node in ast.parse((COMPAT / f"{stem}.py").read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            name = node.targets[0].id
            names |= set(ast.literal_eval(node.value)) if name == "__all__" else {name}
    return {name for name in names if not name.startswith("_")}


@pytest.fixture
def model(tiny):  # noqa: F811
    """A tiny FLUX.1, as loaded by UNETLoader."""
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


def names_in(test: FunctionType) -> set[str]:
    """All names that a test uses, those inside of its own functions and of its file's helpers too."""
    names = vars(sys.modules[test.__module__])
    helpers = {name: each for name, each in names.items() if isinstance(each, FunctionType)}
    found, codes, seen = set(), [test.__code__], set()
    while codes:
        code = codes.pop()
        if code in seen:
            continue
        seen.add(code)
        found |= set(code.co_names)
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
        codes += [helpers[name].__code__ for name in code.co_names if name in helpers]
    return found


def broken_contract(item, error: pytest.ExceptionInfo) -> str:
    """What a failed test says: the functions of nodes/compat that it is about, what they rely on, and what is now."""
    stem, now = Path(item.path).stem.removeprefix("test_"), error.exconly(tryshort=True).strip()
    if isinstance(error.value, pytest.fail.Exception):  # its own words
        return error.value.msg
    asked = [each for each in error.traceback if Path(each.path) == Path(item.path)]
    if asked:
        now = f"{now.splitlines()[0]} ({item.path.name}:{asked[-1].lineno + 1}: {str(asked[-1].statement).strip()})"
    if not (COMPAT / f"{stem}.py").is_file():
        return f"{item.nodeid}\n    now: {now}"
    names = ", ".join(sorted(public_names(stem) & names_in(item.function)))
    relied = " ".join((item.function.__doc__ or "").split())
    return f"nodes/compat/{stem}.py: {names}\n    relies on: {relied}\n    now: {now}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Notes a broken contract for the summary; a property of a report comes back from another process, too."""
    report = yield
    if report.failed and Path(item.path).parent == HERE:
        report.user_properties.append((BROKEN, broken_contract(item, call.excinfo)))
    return report


def pytest_terminal_summary(terminalreporter):
    """Which contracts are broken, in words. The nightly run's issue is this section."""
    reports = [each for kind in ("failed", "error") for each in terminalreporter.getreports(kind)]
    broken = [words for each in reports for name, words in each.user_properties if name == BROKEN]
    if broken:
        terminalreporter.section(f"CONTRACTS BROKEN BY COMFYUI {comfyui_version.__version__}")
        for words in broken:
            terminalreporter.line(words)


@pytest.fixture
def prompt(model):
    """A CONDITIONING of noise for the tiny FLUX.1: two texts, of 3 and of 4 rows."""
    sizes, random = model.model.diffusion_model.params, torch.Generator().manual_seed(1)

    def entry(rows: int) -> list:
        txt = torch.randn(1, rows, sizes.context_in_dim, generator=random)
        return [txt, {"pooled_output": torch.randn(1, sizes.vec_in_dim, generator=random), "guidance": 3.5}]

    return [entry(3), entry(4)]
