"""The rules of nodes/, checked in the sources: allowed imports, and where ComfyUI may be used.

Imports go one way: streams <- pure modules <- ComfyUI adapters <- nodes <- extension.
An adapter is a file that imports ComfyUI's public API, or compat/, which alone imports the private one.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

NODES = Path(__file__).parents[2] / "nodes"
SOURCES = {path.relative_to(NODES).as_posix(): path.read_text("utf-8") for path in sorted(NODES.rglob("*.py"))}

# Each floor imports only from those before it; a name is a folder or a file at the top of nodes/.
FLOORS = [
    {"keys", "flux1_sizes", "palette"},
    {"compat"},
    {"streams", "quoting", "sockets", "notice", "theme", "pictures", "family", "disk"},
    {"encode", "condition", "decode"},
    {"sample", "lora", "cluster"},
    {"probe"},
    {"captions"},
    {"routes"},
    {"extension"},
]
COMFYUI = {
    "folder_paths",
    "server",
    "latent_preview",
    "node_helpers",
    "nodes",
    "execution",
    "aiohttp",
}  # its web server; and all of comfy*
PUBLIC = {"comfy_api", "folder_paths", "server", "aiohttp"}  # ComfyUI's public API; everything else is for compat/
# Attributes of ComfyUI's objects that are read in compat/ alone; FLUX.1's layers go by BFL's names everywhere.
PRIVATE = {
    *("cond_stage_model", "tokenizer_options", "apply_hooks_to_conds", "layer_idx"),  # of a CLIP
    *("patcher", "model_patcher", "inner_model", "conds", "class_obj", "sampler_function"),  # of guiders and runs
    *("model_options", "object_patches", "patches_uuid", "backup", "cached_patcher_init", "load_device"),  # of a MODEL
    *("offload_device", "current_weight_patches_uuid", "set_attachments", "get_attachment", "partially_load"),
    *("model_config", "unet_config", "diffusion_model", "model_sampling", "get_model_object"),  # of what is in it
    *("is_within_directory", "first_stage_model"),
}
PURE = {"torch", "numpy", "scipy", "PIL", "safetensors", *sys.stdlib_module_names}  # and what ComfyUI ships
MARK = "Imports ComfyUI"


def is_comfyui(module: str) -> bool:
    top = module.split(".")[0]
    return top in COMFYUI or top.startswith("comfy")


@dataclass(frozen=True)
class Source:
    """One file of nodes/, by its path there."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def name(self) -> str:
        return Path(self.path).stem

    @property
    def place(self) -> str:
        """Its name in FLOORS."""
        return self.path.split("/")[0].removesuffix(".py")

    @property
    def says_comfyui(self) -> bool:
        return MARK in (ast.get_docstring(self.tree) or "").split("\n\n")[0]

    def outside(self) -> list[str]:
        """Dotted names of absolute imports, including those inside functions."""
        names = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.append(node.module)
        return names

    def names_of_comfyui(self) -> set[str]:
        """Local names of ComfyUI's modules and classes, including those imported from compat/."""
        names = {name.split(".")[0] for name in self.outside() if is_comfyui(name)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                if "compat" in module.split(".") if node.level else is_comfyui(module):
                    names |= {alias.asname or alias.name for alias in node.names}
        return names

    def inside(self) -> Iterator[str]:
        """Paths in nodes/ of the pack's own modules that are imported."""
        parents = list(Path(self.path).parents)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                above = parents[node.level - 1] if node.level <= len(parents) else Path("..")
                module = above / (node.module or "").replace(".", "/")
                package = not node.module or (module / "__init__.py").as_posix() in SOURCES
                modules = [module / alias.name for alias in node.names] if package else [module]
                yield from (f"{path.as_posix()}.py" for path in modules)


def floor(place: str) -> int:
    return next((level for level, names in enumerate(FLOORS) if place in names), -1)


def directions(source: Source) -> Iterator[str]:
    """Breaches of floors, `nodes.py` and pure modules: the allowed imports from the rest of the pack."""
    for path in source.inside():
        other = Source(path, SOURCES.get(path, ""))
        if path not in SOURCES:
            yield f"imports {path}, which is not a file of nodes/"
        elif other.place != source.place and floor(other.place) >= floor(source.place):
            yield f"imports {path}, which is not on a lower floor"
        elif other.name == "nodes" and source.name != "extension":
            yield f"imports {path}: nodes belong to the extension alone"
        elif other.says_comfyui and not source.says_comfyui:
            yield f"is pure, but imports {path}, which imports ComfyUI"


def outsiders(source: Source) -> Iterator[str]:
    """Breaches by imports of ComfyUI without the mark, of other packages, and of the pack by absolute name."""
    for name in source.outside():
        if is_comfyui(name) and not source.says_comfyui:
            yield f"imports {name} without saying '{MARK}' at its top"
        elif not is_comfyui(name) and name.split(".")[0] not in PURE:
            yield f"imports {name}, which is neither ComfyUI's, torch, numpy, scipy nor the standard library's"
        if is_comfyui(name) and name.split(".")[0] not in PUBLIC and source.place != "compat":
            yield f"imports {name}, which is private to ComfyUI: give it a function in compat/"
    through_compat = any(path.startswith("compat/") for path in source.inside())
    if source.says_comfyui and not through_compat and not any(map(is_comfyui, source.outside())):
        yield f"says '{MARK}', but imports neither ComfyUI nor compat/"


def habits(source: Source) -> Iterator[str]:
    """Breaches by device names, private attributes, assignments into ComfyUI, the end of a nodes.py, non-ASCII text."""
    roots = source.names_of_comfyui()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.split(":")[0] == "cuda":
            yield "names the device 'cuda'"
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and root(node) in roots:
            yield f"assigns to {ast.unparse(node)}"
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE and not is_ours(node, source, roots):
            yield f"uses {ast.unparse(node)}, which is private to ComfyUI: give it a function in compat/"
    if source.name == "nodes" and not ast.unparse(source.tree.body[-1]).startswith("NODES = ["):
        yield "does not end with NODES = [...]"
    if not source.text.isascii():
        yield "is not ASCII"


def is_ours(node: ast.Attribute, source: Source, roots: set[str]) -> bool:
    """Whether an attribute is read where it may be, or is a function of the same name in a file of compat/."""
    return source.place == "compat" or (isinstance(node.value, ast.Name) and node.value.id in roots)


def root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def complaints(path: str, text: str) -> list[str]:
    source = Source(path, text)
    return [words for rule in (directions, outsiders, habits) for words in rule(source)]


@pytest.mark.parametrize("path", SOURCES)
def test_house_rules(path):
    assert complaints(path, SOURCES[path]) == []


@pytest.mark.parametrize("path", SOURCES)
def test_every_file_has_a_floor_and_says_what_it_is_for(path):
    source = Source(path, SOURCES[path])
    assert floor(source.place) >= 0 or path == "__init__.py"
    assert ast.get_docstring(source.tree)


def test_extension_lists_every_stage():
    listed = set(Source("extension.py", SOURCES["extension.py"]).inside())
    assert {path for path in SOURCES if path.endswith("/nodes.py")} <= listed


ADAPTER = f'"""{MARK}."""\n'
BREACHES = {
    "encode/x.py|from ..condition.conditioning import join": "not on a lower floor",
    "condition/x.py|from ..sample import schedule": "not on a lower floor",
    "streams.py|from .encode.tokens.lengths import cut": "not on a lower floor",
    "sample/x.py|from ..encode.nodes import NODES": "nodes belong to the extension",
    "sample/nodes.py|from .nodes import NODES\nNODES = []": "nodes belong to the extension",
    "sample/x.py|from ..encode.encoding import encode_t5": "is pure, but imports encode/encoding.py",
    "sample/x.py|from ..streams_of import x": "not a file of nodes/",
    "sample/x.py|from ...devtools import x": "not a file of nodes/",
    "encode/x.py|import comfy.utils": "without saying",
    "encode/x.py|def f():\n    from server import PromptServer": "without saying",
    "encode/x.py|import flux_duet.nodes.streams": "which is neither",
    "encode/x.py|import einops": "which is neither",
    f"encode/x.py|{ADAPTER}import torch": "imports neither ComfyUI nor compat/",
    f"encode/x.py|{ADAPTER}import comfy.utils": "private to ComfyUI",
    f"encode/x.py|{ADAPTER}def f():\n    from comfy_execution.utils import x": "private to ComfyUI",
    f"sample/x.py|{ADAPTER}import latent_preview": "private to ComfyUI",
    "sample/x.py|from ..compat.sampling import sampler_names": "is pure, but imports compat/sampling.py",
    f"compat/x.py|{ADAPTER}import comfy.sd\nfrom ..streams import Span": "not on a lower floor",
    f"encode/x.py|{ADAPTER}import comfy.sd\ncomfy.sd.CLIP.encode = None": "assigns to comfy.sd.CLIP.encode",
    "encode/x.py|from ..compat.text_encoders import CLIP\nCLIP.encode = None": "assigns to CLIP.encode",
    f"compat/x.py|{ADAPTER}from comfy.sd import CLIP\nCLIP.encode = None": "assigns to CLIP.encode",
    "encode/x.py|device = 'cuda:0'": "names the device",
    "sample/x.py|guider.model_patcher.clone()": "private to ComfyUI",
    "sample/nodes.py|NODES = []\nx = 1": "does not end with NODES",
    "sample/x.py|x = '\u00e9'": "is not ASCII",
}


@pytest.mark.parametrize("breach", BREACHES, ids=range(len(BREACHES)))
def test_rules_bite(breach):
    path, _, text = breach.partition("|")
    assert any(BREACHES[breach] in words for words in complaints(path, text)), complaints(path, text)
