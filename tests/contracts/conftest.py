"""What the contract tests share: tiny real models, and failures that say what in nodes/compat is no longer true."""

import ast
from pathlib import Path

import comfy.sd
import pytest
import torch

from flux_duet.tests.comfy.conftest import save_models, tiny  # noqa: F401 - fixtures

COMPAT = Path(__file__).parents[2] / "nodes" / "compat"


def public_names(stem: str) -> set[str]:
    """What a file of nodes/compat offers: functions and constants of its own, and classes in its `__all__`."""
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
    """A tiny FLUX.1, as UNETLoader gives it."""
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the functions of nodes/compat that a failed test is about, and what they rely on, under its report."""
    report = yield
    stem = Path(item.path).stem.removeprefix("test_")
    if report.failed and (COMPAT / f"{stem}.py").is_file():
        names = sorted(public_names(stem) & set(item.function.__code__.co_names))
        report.sections.append((f"nodes/compat/{stem}.py: {', '.join(names)}", f"relies on: {item.function.__doc__}"))
    return report


@pytest.fixture
def prompt(model):
    """A CONDITIONING of noise for the tiny FLUX.1: two texts, of 3 and of 4 rows."""
    sizes, random = model.model.diffusion_model.params, torch.Generator().manual_seed(1)

    def entry(rows: int) -> list:
        txt = torch.randn(1, rows, sizes.context_in_dim, generator=random)
        return [txt, {"pooled_output": torch.randn(1, sizes.vec_in_dim, generator=random), "guidance": 3.5}]

    return [entry(3), entry(4)]
