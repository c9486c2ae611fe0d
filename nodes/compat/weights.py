"""Model files and their quantised layouts. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.quant_ops
import comfy.utils
from torch import Tensor


def load_file(path: str) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    """A model file's tensors by name, and its metadata. Pickled files are loaded with weights_only."""
    return comfy.utils.load_torch_file(path, safe_load=True, return_metadata=True)


def with_current_quantisation(weights: dict, metadata: Mapping[str, str] | None) -> dict:
    """The same tensors, with older quantised layouts converted to ComfyUI's present one."""
    return comfy.utils.convert_old_quants(weights, model_prefix="", metadata=metadata)[0]


def with_transformers_names(weights: dict) -> dict:
    """A CLIP's tensors, renamed from OpenAI's or OpenCLIP's names to those of Hugging Face's transformers."""
    return comfy.utils.clip_text_transformers_convert(weights, "", "")


def quantised_formats() -> Mapping[str, Mapping[str, Any]]:
    """ComfyUI's formats of quantised layers; `parameters` of each are the tensors that accompany the weight."""
    return comfy.quant_ops.QUANT_ALGOS
