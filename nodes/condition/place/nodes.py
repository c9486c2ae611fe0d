"""The nodes that say where a prompt acts. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ...flux1_sizes import NUMBERS
from ...keys import HOOKS
from ...sockets import FluxTxt
from ..blocks import Blocks, painted

CATEGORY = "Flux Duet/Regions"
BLOCKS = f"numbers ({NUMBERS}), ranges (5-18, 40-), double, single, all."


def _times():
    """When it acts."""
    rare = {"optional": True, "advanced": True}
    return [
        io.String.Input(
            "start", default="0%",
            tooltip="When this starts to act: a step (8), a percentage of time (40%) or a sigma (s0.7).", **rare,
        ),
        io.String.Input(
            "end", default="100%",
            tooltip="When this stops acting, in the same units. 100% is the end of the run.", **rare,
        ),
    ]  # fmt: skip


def _blocks():
    kind = {"optional": True, "advanced": True, "extra_dict": painted("t5")}
    return io.String.Input("blocks", default="all", tooltip=f"The blocks in which this acts: {BLOCKS}", **kind)


class Region(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetRegion",
            display_name="T5 Region",
            category=CATEGORY,
            description="A T5 prompt for a part of the picture: the masked area attends to this prompt, the rest to "
            "the base prompt. Chain one node per region. The CLIP prompt stays the same for the whole picture.",
            search_aliases=["regional prompt", "mask prompt", "attention couple", "area", "regional"],
            inputs=[
                FluxTxt.Input("base", tooltip="The prompt of the whole picture. It may already have regions."),
                FluxTxt.Input("region", tooltip="The prompt of the masked area. It may have any length."),
                io.Mask.Input(
                    "mask", tooltip="The area where the prompt acts. A mask of any size is stretched over the picture. "
                    "Soft edges blend the prompts. One mask, or one for each picture of the batch."
                ),
                io.Float.Input(
                    "strength", default=1.0, min=0.0, max=10.0, step=0.05, round=0.001,
                    tooltip="How strongly the area attends to its prompt. 1 = normal; 2 acts as if the prompt stood "
                    "there twice. Raise it if the region's prompt does not show.",
                ),
                io.Float.Input(
                    "base_ratio", default=0.2, min=0.0, max=1.0, step=0.05, round=0.001,
                    tooltip="How much of the base prompt acts in the area. 0 = none, 1 = all of it. A small value (0.1 "
                    "to 0.3) keeps the picture in one piece.",
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
        return io.Schema(
            node_id="FluxDuetRoute",
            display_name="Block Routing",
            category=CATEGORY,
            description="Uses prompt b in some of FLUX.1's blocks and prompt a in all others, separately for CLIP and "
            "T5. For CLIP this costs nothing. For T5 the tokens of both prompts go through every block.",
            search_aliases=["per block prompt", "block weights", "layer prompt", "vital layers"],
            inputs=[
                io.Conditioning.Input(
                    "a", tooltip="The prompt of all blocks that are not listed. Guidance is taken from it."
                ),
                io.Conditioning.Input("b", tooltip="The prompt of the listed blocks."),
                io.String.Input(
                    "clip_blocks", default="none", extra_dict=painted("clip", final=True),
                    tooltip=f"Blocks that use b's CLIP prompt: {BLOCKS} `final` is the last layer. A preset's name "
                    "works too.",
                ),
                io.String.Input(
                    "t5_blocks", default="none", extra_dict=painted("t5"),
                    tooltip="Blocks in which the picture attends to b's T5 prompt, written in the same way. The last "
                    "layer does not read T5.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(tooltip="For MMDiT Sampler, or a native sampler with Apply Duet before it.")
            ],
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
            description="A negative prompt for T5 that acts in the attention (normalised attention guidance). It works "
            "with guidance-distilled and few-step models. The model is evaluated once per step; only the picture's "
            "attention is computed twice.",
            search_aliases=["negative prompt", "nag", "normalized attention guidance", "unwanted"],
            inputs=[
                FluxTxt.Input("txt", tooltip="The T5 prompt. It may have regions."),
                FluxTxt.Input("negative", tooltip="T5 Encode of what you do not want to see."),
                io.Float.Input(
                    "scale", default=5.0, min=0.0, max=50.0, step=0.1, round=0.01,
                    tooltip="Strength of the push away from the negative prompt. 1 = off. Change this first; raise it "
                    "if the negative prompt has too little effect.",
                ),
                io.Float.Input(
                    "tau", default=2.5, min=1.0, max=10.0, step=0.1, round=0.01,
                    tooltip="Limit of the push: the attention output of a token may become at most this many times as "
                    "long. Lower = weaker push.",
                ),
                io.Float.Input(
                    "alpha", default=0.25, min=0.0, max=1.0, step=0.01, round=0.001,
                    tooltip="How much of the pushed result is mixed in. 0 = off, 1 = all of it. Lower it if the "
                    "picture breaks.",
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
