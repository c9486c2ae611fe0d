"""FLUX.1's modulation layers: which they are, what they compute, and their weights for a while. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from comfy.ldm.flux.model import Flux
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ..keys import REPLACE
from .patches import is_dynamic
from .wrappers import APPLY_MODEL

# Attributes of a double block, and of a single one.
IMG = "img_mod"
TXT = "txt_mod"
BOTH = "modulation"


class Layer(NamedTuple):
    """A block's modulation: `module` turns vec [B, hidden] into shifts, scales and gates by its linear layer `lin`."""

    block: int
    name: str  # of the linear layer, as ComfyUI's patches call it
    module: nn.Module

    @property
    def lin(self) -> nn.Module:
        return self.module.lin


def layers(flux: Flux) -> list[Layer]:
    """All modulation layers, as a forward calls them one after another: two of a double block, one of a single one."""
    double = [(number, f"double_blocks.{number}.{which}", getattr(block, which))
              for number, block in enumerate(flux.double_blocks) for which in (IMG, TXT)]  # fmt: skip
    single = [(len(flux.double_blocks) + number, f"single_blocks.{number}.{BOTH}", getattr(block, BOTH))
              for number, block in enumerate(flux.single_blocks)]  # fmt: skip
    return [Layer(block, f"diffusion_model.{name}.lin", module) for block, name, module in (*double, *single)]


def bytes_of(module: nn.Module) -> int:
    """The bytes of a module's parameters, as they are stored."""
    return sum(each.numel() * each.element_size() for each in module.parameters())


def is_own(flux: nn.Module) -> bool:
    """Whether a transformer is ComfyUI's Flux with its own forward, and nothing in it is compiled."""
    replaced = {"forward", "_forward", "forward_orig"} & vars(flux).keys()
    parts = [flux, *flux.double_blocks, *flux.single_blocks] if type(flux) is Flux else []
    return bool(parts) and not replaced and not any(hasattr(each, "_orig_mod") for each in parts)


def is_compiled(options: Mapping) -> bool:
    """Whether these transformer_options have the wrapper of ComfyUI's TorchCompileModel."""
    return "torch.compile" in options.get("wrappers", {}).get(APPLY_MODEL, {})


def has_hooks(base) -> bool:
    """Whether the weights of a running BaseModel are those of a hook (a LoRA for a prompt, or for a part of a run)."""
    return getattr(base.current_patcher, "current_hooks", None) is not None


def on_many_devices(model_options: Mapping) -> bool:
    """Whether a run is shared by clones of the model on several GPUs."""
    return bool(model_options.get("multigpu_clones"))


# ---- what a layer reads and gives


class _Reached(Exception):
    """Ends a forward when vec is known. `vec` [B, hidden] is what every block is given."""

    def __init__(self, vec: Tensor):
        super().__init__()
        self.vec = vec


def vec_of(flux: Flux, x: Tensor, timestep: Tensor, y: Tensor | None, guidance: Tensor | None) -> Tensor:
    """vec [B, hidden], bit for bit as Flux.forward gives it to its blocks; x [B, C, h, w] gives dtype and device.

    The forward runs with one image token and one row of text, up to its first block.
    """

    def reached(args, extra):
        raise _Reached(args["vec"])

    batch, like = len(timestep), {"dtype": x.dtype, "device": x.device}
    img, txt = (torch.zeros(batch, 1, each.in_features, **like) for each in (flux.img_in, flux.txt_in))
    kind = "double_block" if len(flux.double_blocks) else "single_block"
    options = {REPLACE: {"dit": {(kind, 0): reached}}}
    try:
        flux.forward_orig(img, None, txt, None, timestep, y, guidance, transformer_options=options)
    except _Reached as found:
        return found.vec
    raise RuntimeError("Flux.forward_orig has run without calling its first block")


@contextmanager
def forwards(given: Mapping[nn.Module, Callable]) -> Iterator[None]:
    """For the time of a `with`, these functions (input [B, 1, hidden] -> output) stand in place of modules' forward."""
    before = {module: vars(module).get("forward") for module in given}
    try:
        for module, forward in given.items():
            module.forward = forward
        yield
    finally:
        for module, forward in before.items():
            if forward is None:
                vars(module).pop("forward", None)
            else:
                module.forward = forward


def output_of(layer: Layer, vec: Tensor) -> Tensor:
    """What the linear layer gives for vec [B, hidden], bit for bit as in the block: [B, 1, 3 or 6 * hidden]."""
    found, own = [], layer.lin.forward

    def kept(*args, **kwargs):
        found.append(own(*args, **kwargs))
        return found[-1]

    with forwards({layer.lin: kept}):
        layer.module(vec)
    return found[-1].clone()  # a GPU's cast buffer or a bypassed LoRA may own it


# ---- a layer's weights


@contextmanager
def weights_on(device: torch.device, patcher: ModelPatcher, layer: Layer) -> Iterator[None]:
    """For the time of a `with`, a layer's weights are on the device, with the model's patches as a full load has them.

    So each weight is moved once for all rows of a table. With DynamicVRAM it takes no place among the weights that
    stay: it is moved past them. A layer that is loaded, or whose patcher moves weights in a way of its own (GGUF), is
    left as it is.
    """
    lin, own = layer.lin, type(patcher).patch_weight_to_device is ModelPatcher.patch_weight_to_device
    loaded = lin.weight is not None and lin.weight.device == device and not hasattr(lin, "_v")
    if loaded or not own or lin.weight is None or lin.weight.is_meta:
        yield
        return
    names = [name for name in ("weight", "bias") if getattr(lin, name, None) is not None]
    kept = {name: vars(lin)[name] for name in ("_v", "weight_function", "bias_function") if name in vars(lin)}
    parameters = {name: getattr(lin, name) for name in names}
    try:
        vars(lin).pop("_v", None)
        for name in names:
            weight, functions = _moved(device, patcher, layer, name)
            setattr(lin, name, nn.Parameter(weight, requires_grad=False))
            setattr(lin, f"{name}_function", functions)
        yield
    finally:
        for name in names:
            setattr(lin, name, parameters[name])
            vars(lin).pop(f"{name}_function", None)
        vars(lin).update(kept)


def _moved(device: torch.device, patcher: ModelPatcher, layer: Layer, name: str) -> tuple[Tensor, list[Callable]]:
    """A parameter on the device, and the functions that ComfyUI is to call on it in each forward."""
    lin, key = layer.lin, f"{layer.name}.{name}"
    weight, wrappers = getattr(lin, name), [*patcher.weight_wrapper_patches.get(key, [])]
    if is_dynamic(patcher):
        dtype = getattr(lin, f"{name}_comfy_model_dtype", None) or weight.dtype
        patch = getattr(lin, f"{name}_lowvram_function", None)  # a LoRA, which is added when the weight is used
        return weight.to(device).to(dtype), [*([] if patch is None else [patch]), *wrappers]
    if key in patcher.patches and key not in patcher.backup:
        return patcher.patch_weight_to_device(key, device_to=device, return_weight=True), wrappers
    return weight.to(device), wrappers
