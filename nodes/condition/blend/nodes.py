"""The nodes that mix prompts, one stream at a time. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ...sockets import FluxTxt, FluxVec
from ..blocks import PRESETS, Blocks, painted
from .modes import EMPTY, OTHER, TXT_MODES, VEC_MODES

CATEGORY = "Flux Duet/Blend"


def _weight(tooltip: str, default: float = 0.5, low: float = -10.0, high: float = 10.0):
    return io.Float.Input("weight", default=default, min=low, max=high, step=0.05, round=0.001, tooltip=tooltip)


class BlendVec(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetBlendVec",
            display_name="Blend CLIP",
            category=CATEGORY,
            description="Mixes two CLIP prompts, adds or subtracts the meaning of one, or makes a prompt stronger or "
            "weaker. It changes style and mood; the T5 prompt stays as it is.",
            search_aliases=["conditioning average", "clip strength", "lerp", "slerp", "mix prompts", "style strength"],
            inputs=[
                FluxVec.Input("vec", tooltip="The CLIP prompt to start from."),
                io.Combo.Input(
                    "mode",
                    options=list(VEC_MODES),
                    default="lerp",
                    tooltip="lerp: mixes with `other` along a straight line. slerp: along an arc. add, subtract: adds "
                    "or subtracts the difference between `other` and the empty prompt. strength: scales the difference "
                    "between `vec` and the empty prompt.",
                ),
                _weight(
                    "lerp, slerp: 0 = `vec`, 1 = `other`. add, subtract: how much of the difference; 0 = none. "
                    "strength: 0 = empty prompt, 1 = unchanged, 2 = twice the difference."
                ),
                FluxVec.Input(OTHER, optional=True, tooltip="The second CLIP prompt. strength does not use it."),
                FluxVec.Input(
                    EMPTY, optional=True, tooltip="CLIP-L Encode without text. Needed for add, subtract and strength."
                ),
            ],
            outputs=[
                FluxVec.Output(
                    "vec_out", display_name="vec", tooltip="The blended CLIP prompt. Connect it to Dual Prompt."
                )
            ],
        )

    @classmethod
    def execute(cls, vec, mode, weight, other=None, empty=None) -> io.NodeOutput:
        from .blending import blend_vec

        return io.NodeOutput(blend_vec(mode, vec, {OTHER: other, EMPTY: empty}, weight))


class BlendTxt(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetBlendTxt",
            display_name="Blend T5",
            category=CATEGORY,
            description="Combines two T5 prompts: side by side, or mixed token by token. It cuts no tokens and adds no "
            "zeros, which FLUX.1 would read as text.",
            search_aliases=["conditioning average", "conditioning concat", "mix prompts", "combine prompts"],
            inputs=[
                FluxTxt.Input("txt", tooltip="The T5 prompt to start from."),
                io.Combo.Input(
                    "mode",
                    options=list(TXT_MODES),
                    default="join",
                    tooltip="join: fades from `txt` to `other`; for any texts. both: adds `other` and keeps `txt` at "
                    "full strength. lerp: mixes token by token, for texts with the same wording. add, subtract: moves "
                    "all tokens by the difference between `other` and the empty prompt.",
                ),
                _weight("join, lerp: 0 = `txt`, 1 = `other`. both, add, subtract: how strongly `other` acts; 0 = off."),
                FluxTxt.Input(OTHER, optional=True, tooltip="The second T5 prompt."),
                FluxTxt.Input(EMPTY, optional=True, tooltip="T5 Encode without text. Needed for add and subtract."),
            ],
            outputs=[
                FluxTxt.Output(
                    "txt_out",
                    display_name="txt",
                    tooltip="The blended T5 prompt, for Dual Prompt. join and both need MMDiT Sampler, or Apply Duet "
                    "before a native sampler.",
                )
            ],
        )

    @classmethod
    def execute(cls, txt, mode, weight, other=None, empty=None) -> io.NodeOutput:
        from .blending import blend_txt

        return io.NodeOutput(blend_txt(mode, txt, {OTHER: other, EMPTY: empty}, weight))


AFTER, BEFORE = "after CLIP's MLP", "before CLIP's MLP"


def _times():
    """When a CLIP Negative acts."""
    return [
        io.String.Input(
            "start", default="0%", optional=True, advanced=True,
            tooltip="When this starts to act: a step (8), a percentage of time (40%) or a sigma (s0.7).",
        ),
        io.String.Input(
            "end", default="100%", optional=True, advanced=True,
            tooltip="When this stops acting, in the same units. 100% is the end of the run.",
        ),
    ]  # fmt: skip


def _where():
    return [
        io.Combo.Input(
            "where",
            options=[AFTER, BEFORE],
            default=AFTER,
            optional=True,
            tooltip="After CLIP's MLP, as published: pushes only the blocks in `blocks`; needs MMDiT Sampler "
            "or Apply Duet. Before it: pushes all blocks and the last layer; works with any sampler.",
        ),
        io.String.Input(
            "blocks",
            default=PRESETS["all but 0-4 and final (modulation guidance)"],
            optional=True,
            extra_dict=painted("clip"),
            tooltip="The blocks that are pushed, if `where` is after CLIP's MLP. 5- skips the first five, as "
            "published. Write numbers, ranges, double, single or all. The last layer is never pushed.",
        ),
    ]


class ClipNegative(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetClipNegative",
            display_name="CLIP Negative",
            category=CATEGORY,
            description="A negative prompt for CLIP at almost no cost: the CLIP vector is pushed away from the "
            "negative prompt (modulation guidance). It works with guidance-distilled FLUX.1, and the model is still "
            "evaluated once per step.",
            search_aliases=["negative prompt", "modulation guidance", "cfg", "clip guidance", "unwanted"],
            inputs=[
                FluxVec.Input("vec", tooltip="The CLIP prompt."),
                FluxVec.Input("negative", tooltip="CLIP-L Encode of what you do not want: a look, a colour, a "
                "background."),
                _weight(
                    "Strength of the push away from the negative prompt. 0 = off; the published code uses 3. Lower it "
                    "if colours burn or the picture breaks.",
                    default=3.0, low=-20.0, high=20.0,
                ),
                FluxVec.Input(
                    "positive", optional=True, tooltip="Optional. If connected, the push goes from the negative "
                    "prompt towards this prompt instead of towards `vec`."
                ),
                *_where(),
                *_times(),
            ],
            outputs=[FluxVec.Output("vec_out", display_name="vec", tooltip="For Dual Prompt.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, vec, negative, weight, positive=None, where=AFTER, blocks="5-", start="0%", end="100%"
    ) -> io.NodeOutput:
        from ..controls import VecDelta
        from ..place.placing import guided
        from ..timepoints import Range

        when = Range.parse(start, end)
        if where == BEFORE and not when.is_all:
            raise ValueError(
                f"CLIP Negative: '{BEFORE}' acts during the whole run, but `start` is {start} and `end` is {end}. Set "
                f"`where` to '{AFTER}', or schedule two CLIP prompts with Prompt Schedule."
            )
        shift = VecDelta(vec.spans[0].tensor[:, None], (), blocks=Blocks.parse(blocks), when=when)
        return io.NodeOutput(guided(vec, negative, positive, weight, shift if where == AFTER else None))


NODES = [BlendVec, BlendTxt, ClipNegative]
