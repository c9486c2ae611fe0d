"""Shared by the tests of Token Heatmap: prompts, and the attention of each device."""

import comfy.ldm.modules.attention as attention
import pytest
import torch

from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.tests.comfy.heatmap.runs import TEXT

WEIGHTED = "a red circle, and a (redder:2.5) ring at (night:0)"


@pytest.fixture(scope="module")
def streams(singles):
    with torch.inference_mode():
        clip, t5 = singles
        return {
            "vec": ClipEncode.execute(clip, "on paper")[0],
            "txt": T5Encode.execute(t5, TEXT)[0],
            "weighted": T5Encode.execute(t5, WEIGHTED, weights="attention")[0],
            "long": T5Encode.execute(t5, "a blue star " * 90)[0],
        }


@pytest.fixture(params=["attention_pytorch", "attention_sub_quad"])
def backend(request, monkeypatch):
    """ComfyUI's attention function: PyTorch's, as on a GPU, and ComfyUI's own, the default on a CPU."""
    chosen = getattr(attention, request.param)
    import comfy.ldm.flux.math

    monkeypatch.setattr(comfy.ldm.flux.math, "optimized_attention", chosen)
    return request.param
