"""The nodes that say where a prompt acts. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ...flux1_sizes import NUMBERS
from ...keys import HOOKS
from ...sockets import FluxTxt
from ..blocks import PRESETS, Blocks, painted

CATEGORY = "Flux Duet/Regions"
BLOCKS = f"numbers ({NUMBERS}), ranges (5-18, 40-), double, single, all."


def _times():
    """From when until when."""
    rare = {"optional": True, "advanced": True}
    return [
        io.String.Input(
            "start", default="0%", tooltip="From when: a step (8), a percent of time (40%) or a sigma (s0.7).", **rare
        ),
        io.String.Input("end", default="100%", tooltip="Until when, in the same ways; 100% is the end.", **rare),
    ]


def _blocks():
    kind = {"optional": True, "advanced": True, "extra_dict": painted("t5")}
    return io.String.Input("blocks", default="all", tooltip=f"Which blocks: {BLOCKS}", **kind)


class Region(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetRegion",
            display_name="T5 Region",
            category=CATEGORY,
            description="A T5 prompt for a part of the picture: the masked part attends to this prompt, the rest to "
            "the base. Chain as many as you like. CLIP has one vector for the whole picture, so it stays the same "
            "everywhere.",
            search_aliases=["regional prompt", "mask prompt", "attention couple", "area", "regional"],
            inputs=[
                FluxTxt.Input("base", tooltip="The prompt of the whole picture, or one that has regions already."),
                FluxTxt.Input("region", tooltip="The prompt of the masked part, of any length."),
                io.Mask.Input(
                    "mask", tooltip="Where the prompt acts: any size, stretched over the picture. Soft edges blend. "
                    "One mask, or one for each picture."
                ),
                io.Float.Input(
                    "strength", default=1.0, min=0.0, max=10.0, step=0.05, round=0.001,
                    tooltip="How strongly the part attends to its prompt, as if its words stood there this many "
                    "times.",
                ),
                io.Float.Input(
                    "base_ratio", default=0.2, min=0.0, max=1.0, step=0.05, round=0.001,
                    tooltip="How much of the base prompt is left in the part: 0 none, 1 all of it. A little keeps the "
                    "picture in one piece.",
                ),
                *_times(),
                _blocks(),
            ],
            outputs=[FluxTxt.Output("txt", display_name="txt", tooltip="For Dual Prompt, or the next T5 Region.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, base, region, mask, strength=1.0, base_ratio=0.2, start="0%", end="100%", blocks="all"
    ) -> io.NodeOutput:
        from ..controls import PlacedText
        from ..timepoints import Range
        from .placing import region as placed

        kind = PlacedText(
            strength=strength, ratio=base_ratio, blocks=Blocks.parse(blocks), when=Range.parse(start, end)
        )
        return io.NodeOutput(placed(base, region, mask, kind))


class Route(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        presets = "; ".join(f"{name}: {blocks}" for name, blocks in PRESETS.items())
        return io.Schema(
            node_id="FluxDuetRoute",
            display_name="Block Routing",
            category=CATEGORY,
            description="Shows some of FLUX.1's blocks another CLIP prompt, another T5 prompt or both. For CLIP it "
            "costs nothing; for T5 both texts run along, and in each block the picture attends to one of them.",
            search_aliases=["per block prompt", "block weights", "layer prompt", "vital layers"],
            inputs=[
                io.Conditioning.Input(
                    "a", tooltip="The prompt of all blocks that are not named; guidance is taken from it."
                ),
                io.Conditioning.Input("b", tooltip="The prompt of the named blocks."),
                io.String.Input(
                    "clip_blocks", default="none", extra_dict=painted("clip", final=True),
                    tooltip="Which blocks get b's CLIP vector: " + BLOCKS + " `final` is the last layer. " + presets,
                ),
                io.String.Input(
                    "t5_blocks", default="none", extra_dict=painted("t5"),
                    tooltip="In which blocks the picture attends to b's T5 tokens; the last layer sees no text.",
                ),
            ],
            outputs=[io.Conditioning.Output(tooltip="For MMDiT Sampler, or a native sampler behind Apply Duet.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, a, b, clip_blocks="none", t5_blocks="none") -> io.NodeOutput:
        from ...compat.patches import combine_hooks
        from ..conditioning import check_pair
        from .placing import routed

        merges = {HOOKS: combine_hooks}
        check_pair(a, b, "Block Routing", merges)
        return io.NodeOutput(routed(a, b, Blocks.parse(clip_blocks), Blocks.parse(t5_blocks), merges))


class NegativeTxt(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetNag",
            display_name="T5 Negative (NAG)",
            category=CATEGORY,
            description="A negative prompt in the attention (normalised attention guidance), with prompts of any "
            "lengths. Works on guidance-distilled and few-step models; the picture is not computed twice, only its "
            "attention.",
            search_aliases=["negative prompt", "nag", "normalized attention guidance", "unwanted"],
            inputs=[
                FluxTxt.Input("txt", tooltip="The T5 prompt, regions included."),
                FluxTxt.Input("negative", tooltip="T5 Encode of what you do not want to see."),
                io.Float.Input(
                    "scale", default=5.0, min=0.0, max=50.0, step=0.1, round=0.01,
                    tooltip="How far to push away from the negative; 1 is off.",
                ),
                io.Float.Input(
                    "tau", default=2.5, min=1.0, max=10.0, step=0.1, round=0.01,
                    tooltip="The most that a token's attention output may grow in length, as a factor.",
                ),
                io.Float.Input(
                    "alpha", default=0.25, min=0.0, max=1.0, step=0.01, round=0.001,
                    tooltip="How much of the result is blended in; 0 is off.",
                ),
                *_times(),
                _blocks(),
            ],
            outputs=[FluxTxt.Output("txt_out", display_name="txt", tooltip="For Dual Prompt.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, txt, negative, scale=5.0, tau=2.5, alpha=0.25, start="0%", end="100%", blocks="all"
    ) -> io.NodeOutput:
        from ..controls import Nag
        from ..timepoints import Range
        from .placing import nag

        blocks, when = Blocks.parse(blocks), Range.parse(start, end)
        control = Nag(scale=scale, tau=tau, alpha=alpha, blocks=blocks, when=when)
        return io.NodeOutput(nag(txt, negative, control))


NODES = [Region, Route, NegativeTxt]
