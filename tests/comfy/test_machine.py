"""Cached encodings and pictures are not reused under other options of ComfyUI."""

import comfy.cli_args
import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy.cli_args import PerformanceFeature
from comfy.ldm.modules import attention

from flux_duet.nodes.disk import machine as kept_by
from flux_duet.nodes.encode.embeddings import cached
from flux_duet.nodes.encode.encoding import T5XXL, encode_t5
from flux_duet.nodes.encode.load.loading import load_t5
from flux_duet.nodes.probe.grid import identity

MATMUL = torch.backends.cuda.matmul

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


@pytest.fixture
def keys(tiny, singles):
    """`keys()`: the current keys of an encoding and of a MODEL."""
    model = comfy.sd.load_diffusion_model(str(tiny["flux"]))

    def now() -> tuple[str, str]:
        return cached.key_of(singles[1], T5XXL, [[(3, 1.0), (1, 1.0)]]), identity.of_model(model)

    return now


def assert_others(keys, before):
    now = keys()
    assert None not in (*before, *now) and not set(before) & set(now)


@pytest.mark.parametrize("feature", PerformanceFeature)
def test_each_way_to_be_fast(keys, monkeypatch, feature):
    before = keys()
    monkeypatch.setattr(comfy.cli_args.args, "fast", {feature})
    assert_others(keys, before)


@pytest.mark.parametrize("flag", [flag for flag in kept_by.FLAGS if flag != "fast"])
def test_each_option(keys, monkeypatch, flag):
    before = keys()
    assert getattr(comfy.cli_args.args, flag) is False  # it is an option of this ComfyUI
    monkeypatch.setattr(comfy.cli_args.args, flag, True)
    assert_others(keys, before)


def flipped(owner, name):
    """Toggles a switch of torch; returns a function that restores it."""
    value = getattr(owner, name)
    setattr(owner, name, not value)
    return lambda: setattr(owner, name, value)


def deterministic():
    torch.use_deterministic_algorithms(True, warn_only=True)
    return lambda: torch.use_deterministic_algorithms(False)


def precision():
    before = MATMUL.fp32_precision
    MATMUL.fp32_precision = "tf32"
    return lambda: setattr(MATMUL, "fp32_precision", before)


def without_flash():
    torch.backends.cuda.enable_flash_sdp(False)
    return lambda: torch.backends.cuda.enable_flash_sdp(True)


STATES = {
    "fp16 accumulation": lambda: flipped(MATMUL, "allow_fp16_accumulation"),
    "fp16 reduction": lambda: flipped(MATMUL, "allow_fp16_reduced_precision_reduction"),
    "bf16 reduction": lambda: flipped(MATMUL, "allow_bf16_reduced_precision_reduction"),
    "cuDNN": lambda: flipped(torch.backends.cudnn, "enabled"),
    "deterministic": deterministic,
    "precision": precision,
    "no flash attention": without_flash,
}


@pytest.mark.parametrize("name", STATES)
def test_each_state_of_torch(keys, name):
    before = keys()
    back = STATES[name]()
    try:
        assert_others(keys, before)
    finally:
        back()
    assert keys() == before


def test_attention_variables_and_memory(keys, monkeypatch):
    before = keys()
    for owner, name, value in (
        (attention, "optimized_attention", attention.attention_split),
        (comfy.model_management, "vram_state", comfy.model_management.VRAMState.LOW_VRAM),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            assert_others(keys, before)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert_others(keys, before)


def test_every_name_is_one_that_this_torch_knows(singles):
    """A name that torch does not have would have no effect."""
    entries = kept_by.machine(singles[1].patcher)
    assert [each for each in entries if each.endswith("AttributeError")] == []


def test_an_encoding_of_a_fast_run_is_not_served_to_a_plain_one(tiny, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(comfy.cli_args.args, "fast", {PerformanceFeature.Fp16Accumulation})
        encode_t5(load_t5(str(tiny["t5xxl"])), "a circle")
    assert cached.store().size()[0] == 1
    encode_t5(load_t5(str(tiny["t5xxl"])), "a circle")
    assert cached.store().size()[0] == 2


def test_the_options_are_told_alike_in_every_process(singles, monkeypatch):
    """A set of names has another order in each process."""
    monkeypatch.setattr(comfy.cli_args.args, "fast", set(PerformanceFeature))
    (entry,) = (each for each in kept_by.machine(singles[1].patcher) if each.startswith("--fast "))
    assert entry == "--fast " + ", ".join(sorted(map(str, PerformanceFeature)))
