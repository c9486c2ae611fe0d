"""LoRAs in kohya's layout for FLUX, as files and as known truth for tests. Pure torch."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # down [rank, in], up [out, rank]


def key_of(layer: str) -> str:
    """The name of a layer such as double_blocks.1.img_attn.qkv in a file."""
    return f"lora_unet_{layer.replace('.', '_')}"


def kohya(pairs: Mapping[str, Pair], alpha: float, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """The state dict of a LoRA that adds alpha / rank * up @ down to the weight of each layer."""
    found = {}
    for layer, (down, up) in pairs.items():
        found[f"{key_of(layer)}.lora_down.weight"] = down.detach().to(dtype).contiguous()
        found[f"{key_of(layer)}.lora_up.weight"] = up.detach().to(dtype).contiguous()
        found[f"{key_of(layer)}.alpha"] = torch.tensor(alpha).to(dtype)
    return found


def planted(
    norms: Mapping[str, float], sizes: Mapping[str, Sequence[int]], rank: int = 4, alpha: float = 2.0, seed: int = 0
) -> dict[str, Tensor]:
    """A random LoRA whose change of each layer has a known Frobenius norm.

    `norms` are by layer, `sizes` are the layers' weight sizes (out, in).
    """
    generator, pairs = torch.Generator().manual_seed(seed), {}
    for layer, norm in norms.items():
        out, width = sizes[layer]
        down, up = torch.randn(rank, width, generator=generator), torch.randn(out, rank, generator=generator)
        pairs[layer] = down, up * norm / (alpha / rank * (up @ down).norm())
    return kohya(pairs, alpha, torch.float32)


def norms_of(state_dict: Mapping[str, Tensor]) -> dict[str, float]:
    """The Frobenius norm of each layer's change, by the layer's name in the file."""
    found = {}
    for key in (key.removesuffix(".alpha") for key in state_dict if key.endswith(".alpha")):
        down, up = (state_dict[f"{key}.lora_{name}.weight"].float() for name in ("down", "up"))
        found[key] = float(state_dict[f"{key}.alpha"]) / len(down) * float((up @ down).norm())
    return found


def write(path: Path, state_dict: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a LoRA, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".partial-{os.getpid()}")
    save_file(dict(state_dict), partial, dict(metadata))
    os.replace(partial, path)
