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
            description="Joins a CLIP prompt and a T5 prompt into a CONDITIONING that every native node accepts.",
            search_aliases=["CLIPTextEncodeFlux", "split prompt", "two prompts", "join", "flux conditioning", "duet"],
            inputs=[
                FluxVec.Input("vec", tooltip="From CLIP-L Encode: one vector that sets the tone of every block."),
                FluxTxt.Input("txt", tooltip="From T5 Encode: a row per token, which the image attends to."),
                io.Float.Input(
                    "guidance",
                    default=DEFAULT_GUIDANCE,
                    min=GUIDANCE_OFF,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="Distilled guidance, as in FluxGuidance (dev: 3.5; schnell ignores it). "
                    "-1 switches the embedding off, as Flux Disable Guidance does.",
                ),
            ],
            outputs=[io.Conditioning.Output(tooltip="For MMDiT Sampler, KSampler and every node that takes one.")],
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
            description="Takes any FLUX.1 CONDITIONING apart into its CLIP prompt and its T5 prompt, so that one can "
            "be replaced. What else it carries (ControlNet, masks, time ranges, hooks) stays with both.",
            search_aliases=["unjoin", "take apart", "pooled", "separate clip t5", "split prompt"],
            inputs=[io.Conditioning.Input("conditioning", tooltip="A FLUX.1 CONDITIONING from any node.")],
            outputs=[
                FluxVec.Output("vec", display_name="vec", tooltip="The CLIP prompt's vector."),
                FluxTxt.Output("txt", display_name="txt", tooltip="The T5 prompt's rows."),
                io.Float.Output(
                    "guidance", display_name="guidance", tooltip="Its guidance, for Dual Prompt; -1 is off."
                ),
            ],
        )

    @classmethod
    def execute(cls, conditioning) -> io.NodeOutput:
        from .conditioning import split

        return io.NodeOutput(*split(conditioning))


NODES = [DualPrompt, SplitConditioning]
