"""fingerprints.py handles every attribute of ComfyUI's ModelPatcher."""

import ast
import inspect
from collections.abc import Iterator

import comfy.model_patcher
import comfyui_version
import pytest
import torch

from flux_duet.nodes.disk.fingerprints import DYNAMIC, KNOWN

CLASSES = (comfy.model_patcher.ModelPatcher, comfy.model_patcher.ModelPatcherDynamic)
LISTED_FOR = "0.30.0"


def assigned(kind: type) -> Iterator[str]:
    """The attributes that the class's methods set on `self`."""
    for node in ast.walk(ast.parse(inspect.getsource(kind))):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                yield node.attr


def patcher() -> comfy.model_patcher.ModelPatcher:
    return comfy.model_patcher.ModelPatcher(torch.nn.Linear(1, 1), torch.device("cpu"), torch.device("cpu"))


def test_no_attribute_is_unknown():
    """An unknown one makes every cache miss: state in fingerprints.py what it does to a model's results."""
    found = {name for kind in CLASSES for name in assigned(kind)} | set(vars(patcher()))
    assert sorted(found - KNOWN) == []


@pytest.mark.skipif(comfyui_version.__version__ != LISTED_FOR, reason=f"The list is of ComfyUI {LISTED_FOR}")
def test_the_list_is_exactly_the_patchers():
    assert sorted(vars(patcher())) == sorted(KNOWN - set(DYNAMIC))
    assert {name for kind in CLASSES for name in assigned(kind)} | set(vars(patcher())) == KNOWN
