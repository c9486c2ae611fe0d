import inspect
import re

import comfy.hooks
import comfy.ops
import comfy.sampler_helpers
import comfy.sd
import pytest
import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from torch import nn

from flux_duet.nodes.compat import modulation, patches
from flux_duet.nodes.compat.modulation import Layer

VEC = torch.randn(2, 128, generator=torch.Generator().manual_seed(1))


def flux_of(model):
    return model.model.diffusion_model


def test_layers(model):
    """Each double block has img_mod and txt_mod, each single block modulation, with a linear layer `lin` by that name
    in the weights; forward calls all of them once, in this order, with vec [B, hidden]."""
    flux, seen = flux_of(model), []
    assert (modulation.IMG, modulation.TXT, modulation.BOTH) == ("img_mod", "txt_mod", "modulation")
    layers = modulation.layers(flux)
    names = {key for key in model.model.state_dict() if re.search(r"(img_mod|txt_mod|\.modulation)\.lin\.", key)}
    assert {f"{each.name}.{part}" for each in layers for part in ("weight", "bias")} == names
    assert [each.block for each in layers] == [0, 0, 1, 1, 2, 3, 4]
    removes = [each.module.register_forward_pre_hook(lambda module, given: seen.append((module, *given)))
               for each in layers]  # fmt: skip
    with torch.inference_mode():
        flux(torch.zeros(2, 16, 4, 4), torch.ones(2), torch.zeros(2, 3, 64), torch.zeros(2, 64), torch.ones(2))
    for each in removes:
        each.remove()
    assert [each for each, _ in seen] == [each.module for each in layers]
    assert all(vec.shape == (2, 128) for _, vec in seen)


def test_bytes():
    """Parameters of all depths, as they are stored."""
    assert modulation.bytes_of(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1).to(torch.bfloat16))) == 4 * 8 + 2 * 3


def test_own_forwards(model, monkeypatch):
    """A replaced forward is an attribute of the transformer itself; torch.compile keeps the original as `_orig_mod`."""
    flux = flux_of(model)
    assert modulation.is_own(flux) and not modulation.is_own(nn.Linear(1, 1))
    assert not modulation.is_own(torch.compile(flux))
    with monkeypatch.context() as patch:
        patch.setattr(flux, "forward_orig", print)
        assert not modulation.is_own(flux)
    block = flux.single_blocks[0]
    flux.single_blocks[0] = torch.compile(block)
    assert not modulation.is_own(flux)
    flux.single_blocks[0] = block
    assert modulation.is_own(flux)


def test_compiled(model):
    """ComfyUI's TorchCompileModel is a wrapper around the whole evaluation."""
    compiled = model.clone()
    set_torch_compile_wrapper(compiled, "eager")
    assert modulation.is_compiled(compiled.model_options["transformer_options"] | {"wrappers": compiled.wrappers})
    assert not modulation.is_compiled(model.model_options["transformer_options"])


def test_hooks(model):
    """While a hook's weights are in place, the patcher that runs says which hooks they are."""
    model.model.current_patcher = model
    assert not modulation.has_hooks(model.model)
    lora = {"diffusion_model.img_in.diff": torch.zeros(128, 64)}
    hooks = comfy.hooks.create_hook_lora(lora, 1.0, 0.0)
    comfy.hooks.create_transformer_options_from_hooks(model, hooks, {})
    model.register_all_hook_patches(hooks, comfy.hooks.create_target_dict(comfy.hooks.EnumWeightTarget.Model))
    model.apply_hooks(hooks)
    assert modulation.has_hooks(model.model)
    model.apply_hooks(None)
    assert not modulation.has_hooks(model.model)


def test_many_devices():
    """A run on several GPUs has its clones in model_options."""
    source = inspect.getsource(comfy.sampler_helpers.prepare_model_patcher_multigpu_clones)
    assert 'model_options["multigpu_clones"]' in source
    assert modulation.on_many_devices({"multigpu_clones": {1: 2}}) and not modulation.on_many_devices({})


@pytest.mark.parametrize("guidance", [torch.tensor([3.5, 2.0]), None])
@pytest.mark.parametrize("y", [VEC[:, :64], None])
def test_vec(model, y, guidance):
    """With one image token and one row of text, vec is the same, bit for bit, and no block runs."""
    flux, seen = flux_of(model), []
    remove = flux.double_blocks[0].register_forward_pre_hook(
        lambda block, _, given: seen.append(given), with_kwargs=True
    )
    x, t = torch.zeros(2, 16, 4, 6), torch.tensor([0.3, 0.7])
    with torch.inference_mode():
        flux(x, t, torch.zeros(2, 5, 64), y, guidance)
        found = modulation.vec_of(flux, x, t, y, guidance)
    remove.remove()
    assert len(seen) == 1
    assert torch.equal(found, seen[0]["vec"])


def test_forwards():
    """A module calls the `forward` among its own attributes; what was there comes back, whatever happens."""
    one, other, own = nn.Linear(2, 2), nn.Linear(2, 2), lambda given: given + 1
    other.forward = own
    with pytest.raises(ZeroDivisionError), modulation.forwards({one: lambda given: 2 * given, other: lambda given: 0}):
        assert torch.equal(one(torch.ones(2)), torch.full((2,), 2.0)) and other(1) == 0
        raise ZeroDivisionError
    assert "forward" not in vars(one) and other.forward is own


def test_output(model):
    """The linear layer's own output for silu(vec), whoever has replaced its forward."""
    layer = modulation.layers(flux_of(model))[0]
    with torch.inference_mode():
        expected = layer.lin(nn.functional.silu(VEC[:, None]))
        assert torch.equal(modulation.output_of(layer, VEC), expected)
        with modulation.forwards({layer.lin: lambda given: 2 * given}):  # as a bypassed LoRA does
            assert torch.equal(modulation.output_of(layer, VEC), 2 * nn.functional.silu(VEC[:, None]))


# ---- weights


def lora(layer: Layer) -> dict:
    generator = torch.Generator().manual_seed(3)
    name = layer.name.removeprefix("diffusion_model.")
    sides = {"lora_up": (layer.lin.out_features, 2), "lora_down": (2, layer.lin.in_features)}
    return {f"diffusion_model.{name}.{side}.weight": torch.randn(shape, generator=generator)
            for side, shape in sides.items()}  # fmt: skip


def test_weights_that_are_there(model):
    """A layer whose weight is on the device is used as it is."""
    layer = modulation.layers(flux_of(model))[0]
    before = layer.lin.weight
    with modulation.weights_on(before.device, model, layer):
        assert layer.lin.weight is before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_of_a_patcher_that_loads_modules(model, dtype):
    """As a full load patches them, with the same rounding; and as they were afterwards."""
    layer = modulation.layers(flux_of(model))[0]
    layer.lin.to(dtype)
    patched = comfy.sd.load_lora_for_models(model, None, lora(layer), 1.0, 0.0)[0]
    device, before, kept = torch.device("cpu:0"), layer.lin.weight, layer.lin.weight.clone()
    layer.lin.weight_function = functions = [lambda weight: 0 * weight]  # a partial load's, which adds the LoRA
    with torch.inference_mode(), modulation.weights_on(device, patched, layer):
        found = layer.lin.weight.clone()
        assert layer.lin.weight_function == []
    assert layer.lin.weight is before and layer.lin.weight_function is functions
    layer.lin.weight_function = []
    patched.partially_load(device, 1e32)
    assert torch.equal(found, layer.lin.weight) and not torch.equal(found, kept)
    patched.detach()
    assert torch.equal(layer.lin.weight, kept)


def test_weights_of_dynamic_vram(model, monkeypatch):
    """DynamicVRAM keeps a weight's place in `_v`, its type in `weight_comfy_model_dtype` and its LoRA in
    `weight_lowvram_function`: without `_v`, the plain cast gives the same weight, and no place is taken."""
    monkeypatch.setattr(type(model), "is_dynamic", lambda self: True)
    source = inspect.getsource(comfy.ops)
    assert all(each in source for each in ('hasattr(s, "_v")', '"_lowvram_function"', '"_function"'))
    assert '"_comfy_model_dtype"' in inspect.getsource(patches.comfy.model_patcher)
    layer = modulation.layers(flux_of(model))[0]
    lin, place, plain = layer.lin, object(), layer.lin.weight
    lin._v, lin.weight_comfy_model_dtype, lin.weight_lowvram_function = place, torch.bfloat16, lambda each: each + 1
    lin.weight_function = own = []
    given = torch.ones(1, 1, lin.in_features)
    with torch.inference_mode(), modulation.weights_on(torch.device("cpu:0"), model, layer):
        assert not hasattr(lin, "_v")
        found = lin(given)
    with torch.inference_mode():
        expected = nn.functional.linear(given, plain.to(torch.bfloat16).to(torch.float32) + 1, lin.bias)
    assert torch.equal(found, expected)
    assert lin._v is place and lin.weight is plain and lin.weight_function is own


def test_weights_of_another_packs_patcher(model):
    """A patcher that moves weights in its own way keeps doing so."""

    class Own(patches.ModelPatcher):
        def patch_weight_to_device(self, *args):
            raise AssertionError

    layer, model.__class__ = modulation.layers(flux_of(model))[0], Own
    before = layer.lin.weight
    with modulation.weights_on(torch.device("cpu:0"), model, layer):
        assert layer.lin.weight is before
