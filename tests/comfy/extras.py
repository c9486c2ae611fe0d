"""Small versions of what native nodes add to a CONDITIONING: ControlNet, Redux, references, masks, times, hooks."""

import comfy.controlnet
import comfy.hooks
import comfy.model_management
import comfy.ops
import comfy.sd
import torch
from comfy.ldm.flux.controlnet import ControlNetFlux
from comfy.ldm.flux.redux import ReduxImageEncoder
from comfy_extras.nodes_edit_model import ReferenceLatent

import nodes
from flux_duet.tests.comfy.inputs import randn


def control_net(model) -> comfy.controlnet.ControlNet:
    """A Flux ControlNet with the model's sizes."""
    network = ControlNetFlux(**vars(model.model.diffusion_model.params), dtype=torch.float32,
                             operations=comfy.ops.manual_cast)  # fmt: skip
    for index, value in enumerate(network.parameters()):
        value.data.copy_(0.1 * randn(index, *value.shape))
    device = comfy.model_management.get_torch_device()
    return comfy.controlnet.ControlNet(network, load_device=device, extra_conds=["y", "guidance"])


def controlled(conditioning: list, net, seed: int = 9, strength: float = 0.8) -> list:
    """ControlNetApplyAdvanced: a copy of the ControlNet each time."""
    return nodes.ControlNetApplyAdvanced().apply_controlnet(
        conditioning, conditioning, net, randn(seed, 1, 64, 64, 3), strength, 0.0, 1.0
    )[0]


def redux(conditioning: list, kind: str = "multiply", strength: float = 1.0) -> list:
    """StyleModelApply with a small Redux; its six rows come from the picture alone."""
    encoder = ReduxImageEncoder(32, 64)
    for number, value in enumerate(encoder.parameters()):
        value.copy_(randn(20 + number, *value.shape) / value.shape[-1] ** 0.5)
    seen = type("Seen", (), {"last_hidden_state": randn(30, 1, 6, 32)})
    return nodes.StyleModelApply().apply_stylemodel(conditioning, comfy.sd.StyleModel(encoder), seen, strength, kind)[0]


def referred(conditioning: list, seed: int = 3) -> list:
    """Kontext's ReferenceLatent, from a picture of its own."""
    return ReferenceLatent.execute(conditioning, {"samples": randn(seed, 1, 16, 6, 10)})[0]


def masked(conditioning: list, side: str, strength: float = 1.0) -> list:
    mask = torch.zeros(1, 64, 64)
    mask[..., :32] = 1
    return nodes.ConditioningSetMask().append(conditioning, mask if side == "left" else 1 - mask, "default", strength)[
        0
    ]


def placed(conditioning: list, x: int = 0) -> list:
    return nodes.ConditioningSetArea().append(conditioning, 32, 64, x, 0, 1.0)[0]


def timed(conditioning: list, start: float, end: float) -> list:
    return nodes.ConditioningSetTimestepRange().set_range(conditioning, start, end)[0]


def combined(one: list, other: list) -> list:
    return nodes.ConditioningCombine().combine(one, other)[0]


def hooked(conditioning: list, seed: int = 1, strength: float = 1.0) -> list:
    """A LoRA as hooks, attached by Cond Set Props."""
    lora = {f"diffusion_model.single_blocks.0.linear2.lora_{side}.weight": randn(seed + number, *shape)
            for number, (side, shape) in enumerate((("up", (128, 2)), ("down", (2, 640))))}  # fmt: skip
    return comfy.hooks.set_hooks_for_conditioning(conditioning, comfy.hooks.create_hook_lora(lora, strength, 0.0))
