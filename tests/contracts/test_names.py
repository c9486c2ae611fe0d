"""Every name of ComfyUI that nodes/ uses exists: its modules, and imported or dotted names in them.

A missing name breaks a node when it runs at the latest. Here it is reported by itself, with the files that use it.
"""

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

NODES = Path(__file__).parents[2] / "nodes"
OURS = (
    "comfy",
    "comfy_api",
    "comfy_execution",
    "comfy_extras",
    "comfyui_version",
    "folder_paths",
    "latent_preview",
    "node_helpers",
    "server",
)


def is_comfyui(module: str | None) -> bool:
    return module is not None and module.split(".")[0] in OURS


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(local name in the file, dotted name in ComfyUI)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if is_comfyui(alias.name):
                    yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0], alias.name)
        elif isinstance(node, ast.ImportFrom) and not node.level and is_comfyui(node.module):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def reached(tree: ast.Module, roots: dict[str, str]) -> Iterator[str]:
    """Dotted names that start with one of `roots`, such as comfy.sd.CLIP, in ComfyUI's own names."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or id(node) in inner:
            continue
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id in roots:
            yield ".".join([roots[node.id], *reversed(parts)])


def names_of(text: str) -> set[str]:
    """All names of ComfyUI in a source: imports, and dotted names in ComfyUI's modules."""
    tree = ast.parse(text)
    found = list(imported(tree))
    modules = {local: local if full.startswith(f"{local}.") else full for local, full in found if is_module(full)}
    return {full for _, full in found} | set(reached(tree, modules))


def is_module(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def missing(name: str) -> str | None:
    """The part of a dotted name that does not exist; None if all exists."""
    parts = name.split(".")
    there = importlib.import_module(parts[0])
    for at, part in enumerate(parts[1:], 2):
        if not hasattr(there, part):
            if not is_module(".".join(parts[:at])):
                return ".".join(parts[:at])
            there = importlib.import_module(".".join(parts[:at]))
        else:
            there = getattr(there, part)
    return None


def users() -> dict[str, list[str]]:
    found = defaultdict(list)
    for path in sorted(NODES.rglob("*.py")):
        for name in names_of(path.read_text(encoding="utf-8")):
            found[name].append(path.relative_to(NODES.parent).as_posix())
    return dict(found)


USERS = users()


@pytest.mark.parametrize("name", sorted(USERS))
def test_a_name_of_comfyui_is_there(name):
    if gone := missing(name):
        pytest.fail(f"ComfyUI has no {gone}; it is used in {', '.join(USERS[name])}", pytrace=False)


def test_names_are_found_and_missed():
    text = "import comfy.sd\nfrom comfy.sd import VAE as V\nx = comfy.sd.CLIP.encode(comfy.nothing.at_all)\nV.decode\n"
    assert names_of(text) == {"comfy.sd", "comfy.sd.VAE", "comfy.sd.CLIP.encode", "comfy.nothing.at_all"}
    assert missing("comfy.sd.CLIP.encode") is None
    assert missing("comfy.nothing.at_all") == "comfy.nothing"
    assert missing("comfy.sd.CLIP.no_such_method") == "comfy.sd.CLIP.no_such_method"
