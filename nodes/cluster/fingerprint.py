"""What must be the same on a worker: versions, and the bytes of the files that a workflow names. Imports ComfyUI."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import folder_paths
import torch

from ..compat import machine, memory
from ..disk.given_file import is_inside
from ..encode.embeddings.cached import file_at

PACK = Path(__file__).parents[2]
MOST_INPUT = 256 * 2**20  # bytes of an input file that travels
NO_MODELS = {"custom_nodes", "configs", "classifiers"}  # of ComfyUI's model folders
FOLDERS = {"input": folder_paths.get_input_directory, "output": folder_paths.get_output_directory}


def model_files(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """{name: {model folder: path}} of those names that are files in ComfyUI's model folders."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        if not os.path.splitext(name)[1]:
            continue
        for kind in sorted(folder_paths.folder_names_and_paths.keys() - NO_MODELS):
            path = folder_paths.get_full_path(kind, name)
            if path is not None and os.path.isfile(path):
                found.setdefault(name, {})[kind] = path
    return found


def digests(names: Iterable[str]) -> dict[str, dict[str, str | None]]:
    """The content's digest of each of `model_files`; None if it cannot be read."""
    return {name: {kind: _digest(path) for kind, path in places.items()} for name, places in model_files(names).items()}


def _digest(path: str) -> str | None:
    try:
        return file_at(path).digest()
    except OSError:
        return None


def facts(files: Sequence[str]) -> dict[str, Any]:
    """What this ComfyUI is, and the digests of model files with these names."""
    return {"comfyui": machine.version(), "flux_duet": pack(), "machine": device(), "files": digests(files)}


def device() -> str:
    """The device that computes, and torch's version: pictures of different ones differ in their last bits."""
    return f"{machine.device_name(memory.compute_device())}, torch {torch.__version__}"


@functools.cache
def pack() -> str:
    """A digest of the pack's Python files: a version's number does not change with every change."""
    digest = hashlib.sha256()
    for path in sorted((PACK / "nodes").rglob("*.py")):
        digest.update(path.relative_to(PACK).as_posix().encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]


def refusal(home: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """Why a worker with the facts `there` cannot work for `home`; "" if it can."""
    if fault := there.get("fault"):
        return fault
    if there["comfyui"] != home["comfyui"]:
        return f"it runs ComfyUI {there['comfyui']}, this machine {home['comfyui']}; install the same version"
    if there["flux_duet"] != home["flux_duet"]:
        return f"its Flux Duet is {there['flux_duet']}, here it is {home['flux_duet']}; install the same version"
    if there.get("missing"):
        return f"its ComfyUI has no node {', '.join(there['missing'])}; install the pack that has it"
    for name, places in home["files"].items():
        for kind, content in places.items():
            own = there["files"].get(name, {}).get(kind, "")
            if not own:
                return f"it has no readable {name} in models/{kind}; copy the file there"
            if own != content:
                return f"its {name} in models/{kind} differs from the one on this machine; copy the file again"
    return ""


def input_files(names: Iterable[str]) -> dict[str, bytes]:
    """{"input/name": bytes} of those names that are files in ComfyUI's input or output folder, as its loaders read."""
    found = {}
    for name in names:
        bare, folder = folder_paths.annotated_filepath(name)
        kinds = {None: "input", **{of(): kind for kind, of in FOLDERS.items()}}
        kind = kinds.get(folder, "")
        path = Path(folder or folder_paths.get_input_directory()) / bare
        if not kind or not bare.strip() or not is_inside(Path(FOLDERS[kind]()), path) or not path.is_file():
            continue
        if path.stat().st_size > MOST_INPUT:
            raise ValueError(f"{bare} is larger than {MOST_INPUT >> 20} MB, too large to send to workers.")
        found[f"{kind}/{bare.replace(os.sep, '/')}"] = path.read_bytes()
    return found
