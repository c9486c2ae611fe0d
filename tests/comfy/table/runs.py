"""Prompts and a LoRA for the tests of the modulation table."""

import torch

from flux_duet.tests.comfy.inputs import randn

STEPS = 4
EMPTY = {"samples": torch.zeros(1, 16, 8, 8)}


def conditioning(seed: int, length: int = 20, **extras) -> list:
    return [[randn(seed, 1, length, 64), {"pooled_output": randn(seed + 1, 1, 64), "guidance": 3.5, **extras}]]


POSITIVE, NEGATIVE = conditioning(1), conditioning(5, length=33)


def mod_lora() -> dict[str, torch.Tensor]:
    """A LoRA on three modulation layers and on another one."""
    layers = (("double_blocks.0.img_mod.lin", 768), ("double_blocks.1.txt_mod.lin", 768),
              ("single_blocks.1.modulation.lin", 384), ("double_blocks.0.img_attn.proj", 128))  # fmt: skip
    return {
        f"diffusion_model.{layer}.{side}.weight": 0.1 * randn(seed + number, *shape)
        for number, (layer, width) in enumerate(layers)
        for seed, side, shape in ((40, "lora_up", (width, 2)), (50, "lora_down", (2, 128)))
    }
