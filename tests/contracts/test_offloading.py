import inspect

import torch
from comfy.model_patcher import ModelPatcher

from flux_duet.nodes.compat import modulation, offloading

DEVICE = torch.device("cpu:0")


def test_where_modules_can_stay(model):
    """A patcher computes on `load_device` and keeps unused weights on `offload_device`."""
    assert not offloading.can_keep_offloaded(model)
    model.load_device = DEVICE
    assert offloading.can_keep_offloaded(model)


def test_kept_modules(model):
    """`load` goes over `_load_list`, whose entries end with (name, module, parameters), and marks what it has loaded;
    a partial load adds LoRAs when weights are used; `model_lowvram` makes the next load go over the list again."""
    assert (offloading.ALL, offloading.NEXT_TO_NOTHING) == (1e32, 0.1)
    model.load_device = DEVICE
    lins = [each.lin for each in modulation.layers(model.model.diffusion_model)]
    assert {name for name, _, _ in (each[-3:] for each in model._load_list())} >= {"diffusion_model.img_in"}
    assert [*inspect.signature(ModelPatcher.load).parameters][1:5] == [
        "device_to", "lowvram_model_memory", "force_patch_weights", "full_load"
    ]  # fmt: skip
    kept = offloading.keeping_offloaded(model, lins)
    assert isinstance(kept, ModelPatcher) and kept.is_clone(model)
    kept.partially_load(DEVICE, 1e32)
    assert not any(getattr(each, "comfy_patched_weights", False) for each in lins)
    assert all(each.comfy_cast_weights for each in lins)
    assert model.model.model_lowvram and model.model.diffusion_model.img_in.comfy_patched_weights
    kept.detach(unpatch_all=False)
    model.partially_load(DEVICE, 1e32)
    assert all(each.comfy_patched_weights for each in lins)
    model.detach()
