import comfy.hooks
import comfy.sd
import torch
from comfy.weight_adapter.lora import LoRAAdapter

from flux_duet.nodes.compat import patches
from flux_duet.nodes.encode.load.loading import load_clip_l

# The fields of a patcher that the pack's caches read: each holds changes, or a flag for one.
FIELDS = ("patches", "object_patches", "wrappers", "callbacks", "model_options", "weight_wrapper_patches",
          "hook_patches", "forced_hooks", "injections", "additional_models", "backup", "load_device",
          "offload_device", "patches_uuid")  # fmt: skip


def test_patcher(model):
    """A MODEL is a ModelPatcher with its changes in these fields, all of them empty at first."""
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
    """Both groups' hooks in order, in a new group; None means no hooks."""
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
    """Casting is unchanged by the partial load, and no patch is added to weights when they are cast."""
    module = torch.nn.Linear(1, 1)
    module.prev_comfy_cast_weights, module.comfy_cast_weights = False, True
    module.weight_function, module.bias_function = [1], [2]
    patches.forget_partial_load(module)
    assert module.comfy_cast_weights is False
    assert not hasattr(module, "prev_comfy_cast_weights")
    assert (module.weight_function, module.bias_function) == ([], [])


def test_what_a_patcher_holds(model):
    """`model`, `patches` by weight, `object_patches` by name, `model_options`, and `backup` of weights in place."""
    key = "diffusion_model.img_in.bias"
    bias = model.model.diffusion_model.img_in.bias.detach().clone()
    changed = model.clone()
    changed.add_patches({key: ("diff", (torch.ones_like(bias),))})
    changed.add_object_patch("manual_cast_dtype", torch.float64)
    changed.model_options["transformer_options"]["mine"] = 1
    assert patches.base_model(changed) is model.model
    assert patches.base_model(object()) is None
    assert list(patches.weight_patches(changed)) == [key]
    assert patches.object_patches(changed) == {"manual_cast_dtype": torch.float64}
    assert patches.transformer_options(changed)["mine"] == 1
    assert patches.model_options(changed)["transformer_options"] is patches.transformer_options(changed)
    assert not (patches.weight_patches(model) or patches.object_patches(model) or patches.transformer_options(model))
    assert patches.model_object(changed, "manual_cast_dtype") is torch.float64
    assert patches.model_object(model, "diffusion_model.img_in") is model.model.diffusion_model.img_in
    assert patches.model_object(model, "no_such_part") is None
    changed.patch_model()
    now = model.model.diffusion_model.img_in.bias
    assert torch.equal(now, bias + 1)
    assert torch.equal(patches.weight_without_patches(changed, key, now), bias)
    changed.unpatch_model()
    assert patches.weight_without_patches(changed, key, bias) is bias


def test_attachments(model):
    """Clones have their parent's attachments; what is put on a clone is its own."""
    patches.attach(model, "a", 1)
    clone = model.clone()
    patches.attach(clone, "b", 2)
    assert (patches.attached(clone, "a"), patches.attached(clone, "b"), patches.attached(model, "b")) == (1, 2, None)


def test_told_loader(model):
    """`cached_patcher_init` is (loader, arguments, which result, if of several), and a clone's too."""
    given = lambda *_, **__: None  # noqa: E731
    patches.set_loader(model, given, ("x", 1))
    assert patches.loader_of(model.clone()) == (given, ("x", 1), [])
    unknown = patches.ModelPatcher(torch.nn.Linear(1, 1), torch.device("cpu"), torch.device("cpu"))
    assert patches.loader_of(unknown) == (None, [], [])


def test_devices(model):
    """Both are the CPU here; DynamicVRAM is a class of its own, which the CPU has not."""
    assert patches.load_device(model) == patches.offload_device(model) == torch.device("cpu")
    assert patches.is_dynamic(model) is False
    assert patches.is_dynamic(object()) is False


def test_load_on_use(tiny):
    """With next to no memory nothing is moved to the device, and each weight is cast, patched, when it is used."""
    clip = load_clip_l(str(tiny["clip_l"]))
    key = next(name for name in clip.cond_stage_model.state_dict() if name.endswith("0.mlp.fc1.weight"))
    weight = clip.cond_stage_model.state_dict()[key]
    clip.patcher.add_patches({key: ("diff", (torch.ones_like(weight),))})
    patcher, second = clip.patcher, torch.device("cpu:0")  # to ComfyUI another device than "cpu"
    patcher.load_device = second
    before = weight.clone()
    patches.load_on_use(patcher)
    module = clip.cond_stage_model.get_submodule(key.removesuffix(".weight"))
    assert module.weight.device == torch.device("cpu")
    assert torch.equal(module.weight, before)
    assert (module.comfy_cast_weights, len(module.weight_function)) == (True, 1)
    assert patcher.model.current_weight_patches_uuid == patcher.patches_uuid
    assert patcher.model.model_loaded_weight_memory == 0


def test_adapters():
    """A LoRA's tensors and numbers are all in `weights`."""
    up, down = torch.ones(2, 1), torch.ones(1, 3)
    adapter = LoRAAdapter(set(), (up, down, 1.0, None, None, None))
    assert isinstance(adapter, patches.WeightAdapterBase)
    assert adapter.weights[0] is up
    assert adapter.weights[1] is down
