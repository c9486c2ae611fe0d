import comfy.model_management
import pytest

from flux_duet.check.reserve import reserved


def test_reserved():
    """Sets what --reserve-vram sets, which counts in the memory that ComfyUI leaves free for inference."""
    before = comfy.model_management.extra_reserved_memory()
    least = comfy.model_management.minimum_inference_memory()
    with pytest.raises(KeyError), reserved(before + 2**30):
        assert comfy.model_management.extra_reserved_memory() == before + 2**30
        assert comfy.model_management.minimum_inference_memory() == least + 2**30
        raise KeyError
    assert comfy.model_management.extra_reserved_memory() == before
