"""One cell of a grid on a worker: samples it, and leaves its latent where the worker takes it from. Imports ComfyUI."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import folder_paths
import safetensors.torch
from torch import Tensor

from ...cluster.fingerprint import device
from ...cluster.worker import CELL
from ...condition.conditioning import join
from ...condition.extras import extras_of, with_extras
from ...condition.hooks import MERGES
from ...disk.atomic import write_tensors
from ...disk.fingerprints import digest
from ...disk.machine import machine
from ...disk.temporary import temporary_folder
from ...encode.embeddings.stream_file import load
from ...keys import SAMPLES
from ...sample.sampling import SamplingPlan, sample
from ...streams import TXT, VEC
from .choices import NAME

LATENT = "latent"


def conditioning(vec_file: str, txt_file: str, guidance: float, like: list | None) -> list:
    """The CONDITIONING of two embeddings' files, as Prompt Grid makes it from two prompts."""
    txt = with_extras(_loaded(txt_file, TXT), extras_of(like, NAME), MERGES, NAME)
    return join(_loaded(vec_file, VEC), txt, guidance, MERGES)


def _loaded(file: str, name: str) -> Any:
    return load(Path(folder_paths.get_annotated_filepath(file))).streams[name]


def drawn(model, prompt: list, latent: dict, plan: SamplingPlan) -> dict[str, Any]:
    """Samples a cell, and returns the `ui` of its node."""
    return left_behind(model, sample(model, prompt, None, latent, plan)[SAMPLES])


def left_behind(model, latents: Tensor) -> dict[str, Any]:
    """Writes latents into the temp folder; the `ui` that tells the worker, with the machine that made them."""
    path = temporary_folder() / f"cell_{uuid.uuid4().hex}.safetensors"
    write_tensors(path, {LATENT: latents.detach().to("cpu").contiguous()}, {})
    file = f"{path.parent.name}/{path.name}"
    return {CELL: [{"file": file, "digest": digest(machine(model)), "device": device()}]}


def come_home(result: dict) -> tuple[Tensor, dict[str, Any]]:
    """(latents, about: digest, device, host, seconds, tries) of a worker's result."""
    about = next(each for ui in result["ui"].values() for each in ui.get(CELL, ()))
    tensors = safetensors.torch.load(result["files"][about["file"]])
    facts = {name: result[name] for name in ("host", "seconds", "tries")}
    return tensors[LATENT], {"digest": about["digest"], "device": about["device"], **facts}
