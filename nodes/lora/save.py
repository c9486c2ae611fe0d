"""What remains of a LoRA as a file, with its strengths in it. Imports ComfyUI.

Tensors keep their names and types. A strength other than 1 goes into the layer's `alpha` where the change is
proportional to it, else into one of its tensors. Loaded by LoraLoader at strength 1, the file acts as what was saved:
bit for bit where the strengths are 1, to the rounding of float32 where they are in `alpha`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..compat.loras import GLoRAAdapter, LoHaAdapter, LoKrAdapter, LoRAAdapter
from ..disk.atomic import write_tensors
from ..keys import ALPHA
from .load import Patch, SortedLora
from .strengths import Strengths

# Where an adapter's `weights` hold alpha, DoRA's scale, and the tensors whose first side is the rank.
_LAYOUT = {LoRAAdapter: (2, 4, (1,)), LoHaAdapter: (2, 7, (1,)), LoKrAdapter: (2, 8, (6, 4)), GLoRAAdapter: (4, 5, ())}
SAME_AS = "flux_duet_from"  # in the metadata: the file it was made from, and the strengths in it
STRENGTHS = "flux_duet_strengths"


def remaining(lora: SortedLora, strengths: Strengths) -> dict[str, Tensor]:
    """The tensors of the active patches by name, with the strengths in them.

    Raises ValueError if nothing remains, or if a format cannot hold a strength.
    """
    active, kept = lora.active(strengths), {}
    layers: dict[str, list[tuple[Patch, float]]] = {}
    for patch, strength in active:
        layers.setdefault(patch.layer, []).append((patch, strength))
    for layer, patches in layers.items():
        tensors = {name: lora.file.weights[name] for name in sorted(patches[0][0].tensors)}
        for patch, strength in patches:  # a weight and its bias: they are of one place, so of one strength
            if strength != 1:
                _scale(tensors, layer, patch, strength)
        kept.update(tensors)
    if not kept:
        raise ValueError("There is nothing to save: at these strengths and blocks no tensor of the LoRA is active.")
    return kept


def _scale(tensors: dict[str, Tensor], layer: str, patch: Patch, strength: float) -> None:
    value = patch.value
    if isinstance(value, tuple) and value[0] == "set":
        return  # ComfyUI puts such a tensor in place whatever the strength
    if isinstance(value, tuple):
        _multiply(tensors, value[1][0], strength)
        return
    alpha, dora, ranked = _LAYOUT.get(type(value), (0, 0, ()))
    if not alpha or value.weights[dora] is not None:
        kind = "DoRA" if alpha else type(value).__name__.removesuffix("Adapter")
        raise ValueError(
            f"A {kind} layer ({layer}) cannot be saved at strength {strength:g}: its effect is not proportional to "
            "the strength, so a file cannot store it. Use only strengths 0 and 1, or save another LoRA."
        )
    if isinstance(value, LoKrAdapter) and value.weights[0] is not None and value.weights[1] is not None:
        _multiply(tensors, value.weights[0], strength)  # ComfyUI reads no alpha if both factors are whole
        return
    own = value.weights[alpha]
    own = float(_rank(value, ranked)) if own is None else own
    tensors[f"{layer}.{ALPHA}"] = torch.tensor(own * strength, dtype=torch.float32)


def _rank(value, ranked: tuple[int, ...]) -> int:
    """What alpha is divided by, as in the adapter's calculate_weight."""
    if isinstance(value, GLoRAAdapter):
        # Two orders of the factors are in use; the rank is the side that both share.
        a1, a2 = (tensor.flatten(1) for tensor in value.weights[:2])
        return min(*a1.shape, *a2.shape)
    return next(value.weights[at].shape[0] for at in ranked if value.weights[at] is not None)


def _multiply(tensors: dict[str, Tensor], given: Tensor, strength: float) -> None:
    name = next(name for name, tensor in tensors.items() if tensor is given)
    tensors[name] = (given.float() * strength).to(given.dtype)


def write(path: Path, lora: SortedLora, strengths: Strengths) -> int:
    """Writes what remains, atomically. Returns the number of tensors. Raises ValueError as `remaining`, and OSError."""
    kept, stored = remaining(lora, strengths), set()
    for name, tensor in kept.items():
        tensor = tensor.detach().to("cpu").contiguous()
        # Two names may share one tensor, which safetensors refuses.
        shared = tensor.untyped_storage().data_ptr() in stored
        kept[name] = tensor.clone() if shared else tensor
        stored.add(tensor.untyped_storage().data_ptr())
    told = metadata(lora, strengths)
    write_tensors(path, kept, told)
    return len(kept)


def metadata(lora: SortedLora, strengths: Strengths) -> dict[str, str]:
    """The file's own, with where the new one is from. Hashes of the whole file are left out: they would be wrong."""
    parts = ", ".join(f"{name} {value:g}" for name, value in strengths.parts.items())
    blocks = ("all but " if strengths.blocks.without else "") + ", ".join(strengths.blocks.words)
    told = f"{strengths.overall:g}; {parts or 'all parts 1'}; blocks {blocks}"
    own = {name: str(value) for name, value in (lora.file.metadata or {}).items() if "hash" not in name.lower()}
    return {**own, SAME_AS: lora.file.name, STRENGTHS: told}
