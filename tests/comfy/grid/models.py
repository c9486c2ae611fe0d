"""A model changed in memory, and one whose changes have no name."""

import comfy.model_management
import comfy.sd
import comfy.utils
import torch

LATENT = {"samples": torch.zeros(1, 16, 8, 8)}
CLIPS, T5S = ("at night", "on pink paper"), ("a star", "a red (heart:1.4)", "")


def lora(model, strength: float, seed: int = 0):
    """The model with a change of one weight, as LoRA loaders make it."""
    key = "diffusion_model.double_blocks.0.img_attn.proj.weight"
    weight = comfy.utils.get_attr(model.model, key)
    change = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    patched = model.clone()
    assert patched.add_patches({key: ("diff", (change,))}, strength)
    return patched


def opaque(model, how: str):
    changed = model.clone()
    if how == "a function":
        changed.set_model_unet_function_wrapper(
            lambda apply_model, args: apply_model(args["input"], args["timestep"], **args["c"])
        )
    elif how == "a patch":
        changed.set_model_attn1_patch(lambda *args: args)
    elif how == "a wrapper":
        changed.add_wrapper("outer_sample", lambda executor, *args, **kwargs: executor(*args, **kwargs))
    elif how == "an object":
        changed.add_object_patch("concat_keys", ())
    else:
        changed.cached_patcher_init = None
    return changed
