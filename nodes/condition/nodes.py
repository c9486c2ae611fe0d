"""The nodes between the encoders and the sampler. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..sockets import FluxTxt, FluxVec
from .choices import DEFAULT_GUIDANCE, GUIDANCE_OFF


class DualPrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetDualPrompt",
            display_name="Dual Prompt",
            category="Flux Duet/Conditioning",
            description="Combines a CLIP prompt and a T5 prompt into a CONDITIONING that every native node accepts.",
            search_aliases=["CLIPTextEncodeFlux", "split prompt", "two prompts", "join", "flux conditioning", "duet"],
            inputs=[
                FluxVec.Input("vec", tooltip="The CLIP prompt, from CLIP-L Encode: style, light, mood."),
                FluxTxt.Input("txt", tooltip="The T5 prompt, from T5 Encode: what is where."),
                io.Float.Input(
                    "guidance",
                    default=DEFAULT_GUIDANCE,
                    min=GUIDANCE_OFF,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="Distilled guidance of FLUX.1 dev, as in FluxGuidance. 3.5 is usual; schnell ignores it. "
                    "-1 = off, as with Flux Disable Guidance.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    tooltip="Connect it to MMDiT Sampler, KSampler or any node that takes a CONDITIONING."
                )
            ],
        )

    @classmethod
    def execute(cls, vec, txt, guidance) -> io.NodeOutput:
        from .conditioning import join
        from .hooks import MERGES

        return io.NodeOutput(join(vec, txt, guidance, merges=MERGES))


class SplitConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetSplit",
            display_name="Split Conditioning",
            category="Flux Duet/Conditioning",
            description="Separates any FLUX.1 CONDITIONING into its CLIP prompt and its T5 prompt, so that you can "
            "replace one. ControlNets, masks, time ranges and hooks stay with both.",
            search_aliases=["unjoin", "take apart", "pooled", "separate clip t5", "split prompt"],
            inputs=[io.Conditioning.Input("conditioning", tooltip="A FLUX.1 CONDITIONING from any node.")],
            outputs=[
                FluxVec.Output("vec", display_name="vec", tooltip="The CLIP vector."),
                FluxTxt.Output("txt", display_name="txt", tooltip="The T5 prompt's token embeddings."),
                io.Float.Output(
                    "guidance", display_name="guidance", tooltip="The guidance, for Dual Prompt. -1 = off."
                ),
            ],
        )

    @classmethod
    def execute(cls, conditioning) -> io.NodeOutput:
        from .conditioning import split

        return io.NodeOutput(*split(conditioning))


NODES = [DualPrompt, SplitConditioning]
