"""Shared by the in-process tests: small models, made once for every shape and type, and ComfyUI's execution mode."""

import functools

import comfy.sd
import comfy.utils
import pytest
import torch

from flux_duet.nano import layouts
from flux_duet.nodes.encode.load.loading import load_clip_l, load_t5
from flux_duet.tests.comfy import native

SMALLEST = layouts.Shape()


@pytest.fixture
def as_executed():
    """ComfyUI runs every node in inference mode."""
    with torch.inference_mode():
        yield


@pytest.fixture(scope="session")
def save_models(tmp_path_factory):
    """`save_models(shape, dtype) -> {"flux": path, ...}`: the four files of a random small FLUX.1."""

    @functools.cache
    def save(shape=SMALLEST, dtype=torch.float32):
        return layouts.save(tmp_path_factory.mktemp("models"), shape, dtype=dtype)

    return save


@pytest.fixture(scope="session")
def tiny(save_models):
    """The files of the smallest of them."""
    return save_models()


@pytest.fixture(scope="module")
def model(tiny):
    """The smallest FLUX.1 as loaded by Load Diffusion Model, once for each test file."""
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


@pytest.fixture(scope="module")
def vae(tiny):
    return comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(tiny["ae"])))


@pytest.fixture(scope="session")
def dual(tiny):
    """The tiny encoders as loaded by DualCLIPLoader."""
    return native.dual(tiny)


@pytest.fixture(scope="session")
def singles(tiny):
    """The tiny encoders as loaded by our two loaders: (CLIP-L, T5)."""
    return load_clip_l(str(tiny["clip_l"])), load_t5(str(tiny["t5xxl"]))


@pytest.fixture(autouse=True)
def own_embedding_store(tmp_path, monkeypatch):
    """Each test has an empty store: an embedding of another test or version would hide what the test checks."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path / "user"))
