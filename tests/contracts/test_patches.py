import comfy.hooks
import comfy.sd
import torch
from comfy.weight_adapter.lora import LoRAAdapter

from flux_duet.nodes.compat import patches

# What caches of the pack read on a patcher: each says that something acts, or holds it.
FIELDS = ("patches", "object_patches", "wrappers", "callbacks", "model_options", "weight_wrapper_patches",
          "hook_patches", "forced_hooks", "injections", "additional_models", "backup", "load_device",
          "offload_device", "patches_uuid")  # fmt: skip


def test_patcher(model):
    """A MODEL is a ModelPatcher that holds what acts on it in these fields, all of them empty at first."""
    assert isinstance(model, patches.ModelPatcher)
    assert [name for name in FIELDS if not hasattr(model, name)] == []
    assert not any((model.patches, model.wrappers.get("x"), model.hook_patches, model.injections))
    assert model.clone().patches_uuid == model.patches_uuid
    changed = model.clone()
    changed.add_patches({"diffusion_model.img_in.bias": ("diff", (model.model.diffusion_model.img_in.bias,))})
    assert changed.patches_uuid != model.patches_uuid
    assert not model.patches


def test_loaders(model, tiny):
    """A MODEL's `cached_patcher_init` is (loader, arguments), the path first."""
    loader, arguments, *_ = model.cached_patcher_init
    assert loader in patches.FILE_LOADERS
    assert arguments[0] == str(tiny["flux"])
    assert patches.FILE_LOADERS == (comfy.sd.load_diffusion_model, comfy.sd.load_checkpoint_guess_config)


def test_cloned_options():
    """Dicts at any depth and lists in them are new; tensors are the same objects."""
    tensor = torch.zeros(1)
    given = {"transformer_options": {"wrappers": {"kind": {"key": [1]}}, "t": tensor}, "list": [1], "n": 3}
    cloned = patches.clone_options(given)
    assert cloned["transformer_options"]["t"] is tensor
    cloned["transformer_options"]["wrappers"]["kind"]["key"].append(2)
    cloned["transformer_options"]["new"] = cloned["list"].append(2)
    assert given == {"transformer_options": {"wrappers": {"kind": {"key": [1]}}, "t": tensor}, "list": [1], "n": 3}


def test_combined_hooks():
    """Both groups' hooks in their order, in a new group; None stands for no hooks."""
    groups = comfy.hooks.HookGroup(), comfy.hooks.HookGroup()
    hooks = [comfy.hooks.WeightHook(strength_model=strength) for strength in (0.25, 0.5)]
    for group, hook in zip(groups, hooks, strict=True):
        group.add(hook)
    both = patches.combine_hooks(*groups)
    assert [hook.strength_model for hook in both.hooks] == [0.25, 0.5]
    assert [len(group.hooks) for group in groups] == [1, 1]
    assert patches.combine_hooks(None, groups[1]) is groups[1]
    assert patches.combine_hooks(None, None) is None


def test_partial_load():
    """Casting is as before the partial load, and no patch is added to weights on the way."""
    module = torch.nn.Linear(1, 1)
    module.prev_comfy_cast_weights, module.comfy_cast_weights = False, True
    module.weight_function, module.bias_function = [1], [2]
    patches.forget_partial_load(module)
    assert module.comfy_cast_weights is False
    assert not hasattr(module, "prev_comfy_cast_weights")
    assert (module.weight_function, module.bias_function) == ([], [])


def test_adapters():
    """A LoRA's tensors and numbers are all in `weights`."""
    up, down = torch.ones(2, 1), torch.ones(1, 3)
    adapter = LoRAAdapter(set(), (up, down, 1.0, None, None, None))
    assert isinstance(adapter, patches.WeightAdapterBase)
    assert adapter.weights[0] is up
    assert adapter.weights[1] is down
