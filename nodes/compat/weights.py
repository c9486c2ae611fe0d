"""Model files and their quantised layouts. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.quant_ops
import comfy.utils
from torch import Tensor


def load_file(path: str) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    """A model file's tensors by name, and its metadata; pickled files are read without running code."""
    return comfy.utils.load_torch_file(path, safe_load=True, return_metadata=True)


def with_current_quantisation(weights: dict, metadata: Mapping[str, str] | None) -> dict:
    """The same tensors, those of older quantised layouts in the layout that ComfyUI reads now."""
    return comfy.utils.convert_old_quants(weights, model_prefix="", metadata=metadata)[0]


def with_transformers_names(weights: dict) -> dict:
    """A CLIP's tensors under the names of Hugging Face's transformers, from OpenAI's and OpenCLIP's."""
    return comfy.utils.clip_text_transformers_convert(weights, "", "")


def quantised_formats() -> Mapping[str, Mapping[str, Any]]:
    """The formats of quantised layers that ComfyUI reads; `parameters` of each are the tensors beside its weight."""
    return comfy.quant_ops.QUANT_ALGOS
