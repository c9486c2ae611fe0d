"""What ComfyUI's start imports of the pack, and that what it leaves for later can be imported too."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / "nodes").rglob("*.py"))]

# Beside each folder's nodes.py and choices.py: what the schemas are made of, and what that needs. Each module more is
# half a millisecond of every user's start. What only a run needs is imported in the node's `execute`.
AT_START = {
    "compat.execution", "compat.sampling", "condition.attn_masks", "condition.blend.modes", "condition.blend.rows",
    "condition.blend.vectors", "condition.blocks", "disk.headers", "disk.listing", "encode.tokens.lengths",
    "extension", "flux1_sizes", "keys", "notice", "probe.heat.shared", "probe.like_input", "probe.lora_inputs",
    "probe.workers_input", "quoting", "routes.addresses", "sample.schedule", "sockets", "streams",
}  # fmt: skip


def test_the_start_imports_what_schemas_need_and_no_more():
    """ComfyUI's own loader takes the pack in a fresh process, under the name that ComfyUI gives it."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "devtools" / "inside.py"), "bench.start"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    packages = {".".join(path.parent.parts) for path in MODULES}
    found = {name.removeprefix("nodes.") for name in told["own"] if name not in packages}
    kinds = {name: name.split(".")[-1] for name in found}
    assert {name for name in found if kinds[name] not in ("nodes", "choices")} == AT_START
    every = {".".join(path.parts[1:]) for path in MODULES if path.name in ("nodes", "choices")}
    assert {name for name in found if kinds[name] in ("nodes", "choices")} == every
    assert told["modules"] == [], "imported for the pack alone"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_each_import_finds_what_it_names(path):
    """Those in functions too, which no start would try."""
    package = "flux_duet." + ".".join(path.parent.parts)
    importlib.import_module("flux_duet." + ".".join(path.parts))
    tree = ast.parse((ROOT / path).with_suffix(".py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module("." * node.level + (node.module or ""), package)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f".{alias.name}", module.__name__)
