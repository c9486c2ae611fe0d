"""A stand-in for a GPU: tensors on the device `meta` that keep their values, and a record of what a GPU would wait for.

A run of ComfyUI's sampler goes through its real code, on any machine. Each wait in its loop is recorded with the file
that caused it: reading a number back, indices whose count depends on values, and moving a tensor from or to the device.
"""

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import comfy.ldm.flux.math
import comfy.model_management
import comfy.sampler_helpers
import torch
from comfy.ldm.modules.attention import attention_pytorch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from flux_duet.nano import flow

DEVICE = torch.device("meta")
# In inference mode torch shows some operations under the names of their callers, such as item.
READS = ("_local_scalar_dense", "item", "is_nonzero", "equal", "allclose", "nonzero", "nonzero_numpy", "argwhere",
         "_unique2", "unique_dim", "unique_consecutive", "bincount", "masked_select")  # fmt: skip
NEW = ("empty_like", "zeros_like", "ones_like", "full_like", "new_empty", "new_zeros", "new_ones", "new_full")
THIS, NODES, ELSEWHERE = Path(__file__), Path(__file__).parents[2] / "nodes", "ComfyUI"


class OnDevice(torch.Tensor):
    """A tensor that says that it is on DEVICE. `values` are in main memory."""

    @staticmethod
    def __new__(cls, values):
        return torch.Tensor._make_wrapper_subclass(
            cls, values.shape, values.stride(), values.storage_offset(), dtype=values.dtype, device=DEVICE
        )

    def __init__(self, values):
        self.values_ = values

    def tolist(self):  # torch has none for subclasses
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} outside of a Device")


class Device(TorchDispatchMode):
    """`waits`: how often a GPU would have waited, by `cause`."""

    def __init__(self):
        super().__init__()
        self.waits: Counter = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = tree_leaves([args, kwargs or {}])
        tensors = [each for each in given if isinstance(each, torch.Tensor)]
        moved = [each for each in tensors if isinstance(each, OnDevice)]
        asked = [each for each in given if isinstance(each, torch.device)]
        on = asked[0] == DEVICE if asked else bool(moved)
        others = [each for each in tensors if each.ndim and not isinstance(each, OnDevice)]
        name = func.overloadpacket.__name__
        masked = name in ("index", "index_put_") and any(each.dtype == torch.bool for each in moved[1:])
        mixed = (others if on else moved) or (moved and others)
        if (mixed and name not in NEW) or (moved and (name in READS or masked)):
            self.waits[cause()] += 1
        values = {id(each.values_): each for each in moved}
        out = func(*tree_map(_in_memory, args), **tree_map(_in_memory, kwargs or {}))

        def wrapped(each):
            if not isinstance(each, torch.Tensor) or not on:
                return each
            return values.get(id(each)) if id(each) in values else OnDevice(each)

        return tree_map(wrapped, out)


def _in_memory(each):
    if isinstance(each, OnDevice):
        return each.values_
    return torch.device("cpu") if isinstance(each, torch.device) else each


def cause() -> str | None:
    """The file in nodes/ that an operation is from, ELSEWHERE for ComfyUI's; None outside of the sampler's loop."""
    found = None
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        path = Path(code.co_filename)
        if found is None and "torch" not in path.parts and path != THIS:
            found = path.relative_to(NODES).as_posix() if NODES in path.parents else ELSEWHERE
        if code.co_name == "inner_sample" and path.name == "samplers.py":
            return found
        frame = frame.f_back
    return None


def _free_memory(device=None, torch_free_too=False):
    return (1 << 34, 1 << 34) if torch_free_too else 1 << 34


@contextmanager
def on_device(model, monkeypatch):
    """The Device under which `model`, a MODEL of ComfyUI, samples as if it were on a GPU."""
    monkeypatch.setattr(comfy.model_management, "load_models_gpu", lambda *args, **kwargs: None)
    monkeypatch.setattr(comfy.model_management, "get_free_memory", _free_memory)
    monkeypatch.setattr(comfy.ldm.flux.math, "optimized_attention", attention_pytorch)  # as on a GPU
    monkeypatch.setattr(model, "load_device", DEVICE)
    with flow.differentiable(), Device() as device:
        flux = model.model.diffusion_model
        before = {name: value.data for name, value in flux.named_parameters()}
        for module in flux.modules():
            for name, value in list(module.named_parameters(recurse=False)):
                setattr(module, name, torch.nn.Parameter(OnDevice(value.data), requires_grad=False))
        try:
            yield device
        finally:
            for name, value in before.items():
                owner, _, last = name.rpartition(".")
                setattr(flux.get_submodule(owner), last, torch.nn.Parameter(value, requires_grad=False))
