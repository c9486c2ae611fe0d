"""Load LoRA by Stream. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..condition.blocks import painted
from ..flux1_sizes import NUMBERS
from ..notice import show, warn
from .choices import NAME, file_input, path_of, state_of

_STRENGTH = {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.05, "round": 0.001}


def _part(name: str, tooltip: str):
    return io.Float.Input(name, tooltip=tooltip, **_STRENGTH)


def _strengths():
    """The strength of the whole, and of each part."""
    return [
        _part("strength", "The strength of the whole, by which those below are multiplied."),
        _part("clip_encoder", "Strength in the CLIP-L encoder."),
        _part("t5_encoder", "Strength in the T5 encoder."),
        _part(
            "clip_stream",
            "Strength where CLIP's vector acts: vector_in, every block's modulation and the last layer's. "
            "Time and guidance pass through the same weights, and time_in and guidance_in count here too.",
        ),
        _part("t5_stream", "Strength in T5's own weights: txt_in, and txt_attn and txt_mlp of double blocks."),
        _part("image", "Strength in the image's own weights: img_in, img_attn, img_mlp, and the last layer."),
        _part("joint", "Strength in single blocks, which compute text and image with the same weights."),
    ]


class LoadLora(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetLora",
            display_name=NAME,
            category="Flux Duet/LoRA",
            description="Loads a LoRA with a strength for each part of FLUX.1, and for chosen blocks. Reads every "
            "format that Load LoRA reads; with all strengths at 1 the result is the same bit for bit, and a part at 0 "
            "is left out.",
            search_aliases=["lora loader", "block weight", "lora blocks", "split lora", "extract lora", "save lora"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Clip.Input("clip", optional=True, tooltip="A CLIP with CLIP-L, or with both encoders."),
                io.Clip.Input("t5", optional=True, tooltip="A CLIP with T5 alone, as of Load T5."),
                file_input(),
                *_strengths(),
                io.String.Input(
                    "blocks", default="all", optional=True, extra_dict=painted(),
                    tooltip=f"The blocks in which it acts: numbers ({NUMBERS}), ranges (5-18, 40-), double, single, "
                    "all. The encoders, and layers before and after the blocks, do not depend on it.",
                ),
                io.String.Input(
                    "save_as", default="", optional=True, advanced=True,
                    tooltip="A name: what remains of the LoRA is saved in output/loras, with its strengths. "
                    "Empty: nothing is saved.",
                ),
            ],
            outputs=[
                io.Model.Output("model_out", display_name="model", tooltip="The model with the LoRA."),
                io.Clip.Output("clip_out", display_name="clip", tooltip="`clip` with the LoRA."),
                io.Clip.Output("t5_out", display_name="t5", tooltip="`t5` with the LoRA."),
            ],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, save_as="", blocks="all") -> bool | str:
        from ..condition.blocks import Blocks
        from .place_to_save import fault

        try:
            Blocks.parse(blocks or "")
        except ValueError as error:
            return str(error)
        return fault(save_as or "") or True

    @classmethod
    def fingerprint_inputs(cls, lora_name=None, **_):
        return state_of(lora_name)

    @classmethod
    def execute(cls, model, lora_name, strength=1.0, clip=None, t5=None, blocks="all", save_as="", **parts):
        from ..compat.execution import ExecutionBlocker
        from ..condition.blocks import Blocks
        from ..family import require_flux1
        from .load import patches_of, read
        from .place_to_save import saved
        from .reports import unused
        from .strengths import Strengths

        require_flux1(model, NAME)
        clips = {name: each for name, each in (("clip", clip), ("t5", t5)) if each is not None}
        file = read(path_of(lora_name))
        lora = patches_of(file, model, clips.values())
        strengths = Strengths(parts, Blocks.parse(blocks), strength)
        out, changed = lora.put(strengths)
        given = dict(zip(clips, changed, strict=True))
        blocked = {name: ExecutionBlocker(f"{NAME}: `{name}` is not connected.") for name in ("clip", "t5")}
        report = saved(save_as, lora, strengths) if save_as.strip() else ""
        words = unused(file.name, lora.unused, len(file.weights), clips)
        told = warn(f"{NAME}: {words}", report) if words else show(report)
        return io.NodeOutput(out, *{**blocked, **given}.values(), ui=told)


NODES = [LoadLora]
