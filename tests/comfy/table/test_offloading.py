"""Modulation layers that stay offloaded: what is on the device, and the same results before, during and after.

"cpu:0" is to ComfyUI another device than "cpu": moving a weight there copies it, and the copy still computes.
"""

import comfy.model_management
import comfy.sd
import pytest
import torch

from flux_duet.nodes.compat import modulation
from flux_duet.nodes.compat.offloading import can_keep_offloaded, keeping_offloaded
from flux_duet.nodes.sample.nodes import ModulationTable
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.table.runs import EMPTY, POSITIVE, STEPS, mod_lora

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

DEVICE = torch.device("cpu:0")
EVERYTHING = 1e32


@pytest.fixture
def patcher(save_models, request):
    """A MODEL of its own that computes on DEVICE and keeps unused weights in MAIN."""
    dtype = getattr(request, "param", torch.float32)
    found = comfy.sd.load_diffusion_model(str(save_models(dtype=dtype)["flux"]))
    found.load_device = DEVICE
    yield found
    comfy.model_management.unload_all_models()


def lins(patcher) -> list:
    return [each.lin for each in modulation.layers(patcher.model.diffusion_model)]


def is_loaded(module) -> bool:
    """By ComfyUI's own mark: torch calls both devices "cpu"."""
    return getattr(module, "comfy_patched_weights", False)


def on_device(patcher) -> int:
    return total(each for each in patcher.model.modules() if is_loaded(each))


def total(modules) -> int:
    return sum(each.nbytes for module in modules for each in module.parameters())


def none_loaded(patcher) -> bool:
    return not any(map(is_loaded, lins(patcher)))


def sampled(model) -> torch.Tensor:
    return sampling.sampled(model, POSITIVE, latent=EMPTY, steps=STEPS)["samples"]


def test_where_it_applies(patcher, model):
    assert can_keep_offloaded(patcher)
    assert not can_keep_offloaded(model), "main memory is one place"


@pytest.mark.parametrize("before", ["unloaded", "loaded", "loaded in part"])
def test_what_is_on_the_device(patcher, before):
    everything, kept = total([patcher.model]), keeping_offloaded(patcher, lins(patcher))
    assert kept.model_size() == patcher.model_size() - total(lins(patcher))
    if before != "unloaded":
        patcher.partially_load(DEVICE, EVERYTHING if before == "loaded" else everything // 2)
        assert any(map(is_loaded, lins(patcher))), "ComfyUI loads the largest first"
        patcher.detach(unpatch_all=False)
    kept.partially_load(DEVICE, EVERYTHING)
    assert none_loaded(patcher)
    assert on_device(kept) == everything - total(lins(patcher)) == kept.loaded_size()
    kept.detach(unpatch_all=False)
    patcher.partially_load(DEVICE, EVERYTHING)
    assert on_device(patcher) == everything, "another clone loads them"
    patcher.detach()
    assert on_device(patcher) == 0


def test_where_the_weights_are(patcher):
    """On a device without values, which torch tells from main memory."""
    patcher.load_device = meta = torch.device("meta")
    kept = keeping_offloaded(patcher, lins(patcher))
    kept.partially_load(meta, EVERYTHING)
    offloaded = {name for name, each in patcher.model.named_parameters() if each.device != meta}
    names = [each.name for each in modulation.layers(patcher.model.diffusion_model)]
    assert offloaded == {f"{name}.{which}" for name in names for which in ("weight", "bias")}


def test_the_room_goes_to_other_layers(patcher):
    """On a device that holds two thirds of the model, its other layers are all there."""
    budget = 0.8 * total([patcher.model])
    patcher.partially_load(DEVICE, budget)
    assert on_device(patcher) < budget
    patcher.detach()
    kept = keeping_offloaded(patcher, lins(patcher))
    kept.partially_load(DEVICE, budget)
    assert on_device(kept) == total([patcher.model]) - total(lins(patcher)) < budget


@pytest.mark.parametrize("patcher", [torch.float32, torch.bfloat16, torch.float8_e4m3fn], indirect=True, ids=str)
@pytest.mark.parametrize("lora", [False, True])
def test_pictures(patcher, reports, lora):
    """Natively, with a table, natively again; each run finds what the one before it has left."""
    model = comfy.sd.load_lora_for_models(patcher, None, mod_lora(), 1.0, 0.0)[0] if lora else patcher
    expected = sampled(model)
    assert on_device(model) == total([model.model])
    for _ in range(2):
        assert torch.equal(expected, sampled(ModulationTable.execute(model)[0]))
        assert none_loaded(model)
    assert torch.equal(expected, sampled(model))
    assert on_device(model) == total([model.model])
    assert [each.served for each in reports] == [STEPS, STEPS]
    assert not any("forward" in vars(each) for each in lins(model))


@pytest.mark.parametrize("lora", [False, True])
def test_a_failed_run_leaves_nothing(patcher, lora, monkeypatch):
    model = comfy.sd.load_lora_for_models(patcher, None, mod_lora(), 1.0, 0.0)[0] if lora else patcher
    own = modulation.output_of
    monkeypatch.setattr(modulation, "output_of", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sampled(ModulationTable.execute(model)[0])
    monkeypatch.setattr(modulation, "output_of", own)
    expected = sampled(ModulationTable.execute(model)[0])
    assert torch.equal(expected, sampled(model))


@pytest.mark.parametrize("patcher", [torch.float32, torch.bfloat16], indirect=True, ids=str)
def test_samplers_between_the_steps(patcher, reports):
    """Layers that compute by themselves have the weights of a full load, too, with a LoRA rounded as there."""
    model = comfy.sd.load_lora_for_models(patcher, None, mod_lora(), 1.0, 0.0)[0]
    options = {"latent": EMPTY, "steps": STEPS, "sampler": "dpm_2"}
    expected = sampling.sampled(model, POSITIVE, **options)["samples"]
    tabled = ModulationTable.execute(model)[0]
    assert torch.equal(expected, sampling.sampled(tabled, POSITIVE, **options)["samples"])
    assert reports[0].own and reports[0].served
