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
        _part("strength", "Overall strength of the LoRA: multiplies all strengths below. 1 = as trained, 0 = off."),
        _part("clip_encoder", "How strongly to modify the CLIP-L text encoder. 0 = not at all."),
        _part("t5_encoder", "How strongly to modify the T5 text encoder. 0 = not at all."),
        _part(
            "clip_stream",
            "How strongly to modify the layers that apply the CLIP vector: vector_in and the modulation of all blocks "
            "and of the last layer. Timestep and guidance use the same layers; time_in and guidance_in are included.",
        ),
        _part(
            "t5_stream",
            "How strongly to modify the layers for T5 tokens only: txt_in, and txt_attn and txt_mlp of double blocks.",
        ),
        _part(
            "image",
            "How strongly to modify the layers for image tokens only: img_in, img_attn and img_mlp of double blocks, "
            "and the last layer.",
        ),
        _part(
            "joint",
            "How strongly to modify the single blocks, which process text and image tokens with the same weights.",
        ),
    ]


class LoadLora(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetLora",
            display_name=NAME,
            category="Flux Duet/LoRA",
            description="Loads a LoRA with a separate strength for each part of FLUX.1, in all blocks or in chosen "
            "ones. Use it to find the part that creates the effect, or to turn a part off. Reads every format that "
            "Load LoRA reads. With all strengths at 1 the result is identical to Load LoRA.",
            search_aliases=["lora loader", "block weight", "lora blocks", "split lora", "extract lora", "save lora"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without other LoRAs."),
                io.Clip.Input("clip", optional=True, tooltip="A CLIP with CLIP-L alone or with both encoders."),
                io.Clip.Input("t5", optional=True, tooltip="A CLIP with T5 alone, from Load T5."),
                file_input(),
                *_strengths(),
                io.String.Input(
                    "blocks", default="all", optional=True, extra_dict=painted(),
                    tooltip=f"The blocks to modify: numbers ({NUMBERS}), ranges (5-18, 40-), double, single or all. "
                    "Text encoders and the layers outside the blocks are not affected by this list.",
                ),
                io.String.Input(
                    "save_as", default="", optional=True, advanced=True,
                    tooltip="Saves the LoRA with these strengths and blocks as a new file with this name in "
                    "output/loras. Empty: nothing is saved.",
                ),
            ],
            outputs=[
                io.Model.Output("model_out", display_name="model", tooltip="The model with the LoRA applied."),
                io.Clip.Output("clip_out", display_name="clip", tooltip="`clip` with the LoRA applied."),
                io.Clip.Output("t5_out", display_name="t5", tooltip="`t5` with the LoRA applied."),
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
