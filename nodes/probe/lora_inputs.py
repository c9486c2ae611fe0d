"""Inputs shared by the nodes that sample with and without a LoRA. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_api.latest import io

from ..compat.sampling import sampler_names
from ..condition.choices import DEFAULT_GUIDANCE, GUIDANCE_OFF
from ..encode.tokens.lengths import COMFYUI, LENGTHS
from ..lora.choices import file_input
from ..sample.choices import SCHEDULERS
from .like_input import like_input


def lora_inputs():
    """The model, its encoders and the file."""
    return [
        io.Model.Input("model", tooltip="A FLUX.1 model without this LoRA. Other LoRAs may be applied."),
        io.Clip.Input("clip", tooltip="A CLIP with CLIP-L, without this LoRA."),
        io.Clip.Input("t5", tooltip="A CLIP with T5, without this LoRA. A dual CLIP can be connected to both inputs."),
        file_input(),
        io.Float.Input("strength", default=1.0, min=-100.0, max=100.0, step=0.05, round=0.001,
                       tooltip="How strongly to apply the LoRA to the model and to both text encoders."),
    ]  # fmt: skip


def prompt_inputs(clip: str, t5: str, about: str = ""):
    """The two prompts; `about` is added to their tooltips."""
    given = {"multiline": True, "dynamic_prompts": True}
    return [
        io.String.Input("clip_prompt", default=clip, tooltip=f"The prompt for CLIP-L.{about}", **given),
        io.String.Input("t5_prompt", default=t5, tooltip=f"The prompt for T5.{about}", **given),
    ]


def run_inputs(seed: str, measured: str, seeds: Sequence[io.Input] = ()):
    """How pictures are sampled; `seed` and `measured` are tooltips, `seeds` an input that follows the seed."""
    return [
        io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True, tooltip=seed),
        *seeds,
        io.Int.Input("steps", default=20, min=1, max=10000,
                     tooltip="The number of steps used in the denoising process."),
        io.Combo.Input("sampler", options=sampler_names(), default="euler", tooltip="As in MMDiT Sampler."),
        io.Combo.Input("scheduler", options=SCHEDULERS, default="simple", tooltip="As in MMDiT Sampler."),
        io.Float.Input("guidance", default=DEFAULT_GUIDANCE, min=GUIDANCE_OFF, max=100.0, step=0.1, round=0.01,
                       tooltip="Distilled guidance, as in Dual Prompt; -1 switches it off."),
        io.Int.Input("measured_steps", default=4, min=1, max=1000, tooltip=measured),
    ]  # fmt: skip


def rare_inputs(what: str):
    """Inputs that few need; `what` gets the extras of `like`."""
    return [
        io.Combo.Input("length", options=list(LENGTHS), default=COMFYUI, optional=True, advanced=True,
                       tooltip="The T5 length, as in T5 Encode."),
        like_input(what),
    ]  # fmt: skip
