"""The nodes that turn text into the two streams. Imports ComfyUI."""

from __future__ import annotations

import json

from comfy_api.latest import io, ui

from ..notice import nothing, warn
from ..sockets import FluxTxt, FluxVec
from .choices import EMBEDDING, FIRST, MODES, PAST
from .tokens.lengths import COMFYUI, LENGTHS

CATEGORY = "Flux Duet/Encode"


def _rare_clip_inputs():
    """Inputs of CLIP-L Encode that few prompts need."""
    return [
        io.Combo.Input(
            "past_75",
            options=list(PAST),
            default=FIRST,
            optional=True,
            advanced=True,
            tooltip="For prompts of more than 75 tokens (Long-CLIP: 246). first: the rest has no effect, as "
            "in ComfyUI. average: the mean of the vectors of all chunks of 75. strongest: the vector of the "
            "chunk that is farthest from the empty prompt's.",
        ),
        io.Boolean.Input(
            "weights",
            default=True,
            optional=True,
            advanced=True,
            label_on="act",
            label_off="are text",
            tooltip="Whether (words:1.3) is a weight, which moves vec, or simply text in parentheses.",
        ),
    ]  # fmt: skip


class ClipEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetClipEncode",
            display_name="CLIP-L Encode",
            category=CATEGORY,
            description="Turns a prompt into one vector that sets the tone of the whole picture: style, light, mood. "
            "T5 is not run.",
            search_aliases=[
                "clip text encode",
                "clip encode",
                "clip_l prompt",
                "style prompt",
                "prompt weight",
                "pooled",
                "duet",
            ],
            inputs=[
                io.Clip.Input(
                    "clip", tooltip="Any CLIP that holds CLIP-L: Load CLIP-L, DualCLIPLoader, a checkpoint's."
                ),
                io.String.Input(
                    "text",
                    multiline=True,
                    dynamic_prompts=True,
                    tooltip="What CLIP-L reads: the first 75 tokens. Short phrases on style and mood suit it. "
                    "(words:1.3) strengthens, (words:0.5) weakens, (words:0) is as if they were not there.",
                ),
                *_rare_clip_inputs(),
            ],
            outputs=[FluxVec.Output("vec", display_name="vec", tooltip="The CLIP prompt's vector, for Dual Prompt.")],
        )

    @classmethod
    def execute(cls, clip, text, past_75=FIRST, weights=True) -> io.NodeOutput:
        from .clip_prompt import encode_clip_prompt

        vec, notes = encode_clip_prompt(clip, text, past_75, weights)
        return io.NodeOutput(vec, ui=warn("\n".join(notes)) if notes else nothing())


class T5Encode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetT5Encode",
            display_name="T5 Encode",
            category=CATEGORY,
            description="Turns a prompt into a row per token, which every part of the picture attends to: things, "
            "places, relations, lettering. CLIP-L is not run.",
            search_aliases=["clip text encode", "clip encode", "t5xxl prompt", "long prompt", "prompt weight", "duet"],
            inputs=[
                io.Clip.Input("clip", tooltip="Any CLIP that holds T5: Load T5, DualCLIPLoader, a checkpoint's."),
                io.String.Input(
                    "text",
                    multiline=True,
                    dynamic_prompts=True,
                    tooltip="What T5 reads. Whole sentences suit it: what is where, and how things relate.",
                ),
                io.Combo.Input(
                    "length",
                    options=list(LENGTHS),
                    default=COMFYUI,
                    tooltip="How many rows FLUX.1 gets. ComfyUI: padded to at least 256, never cut. "
                    "official 512 (dev) and official 256 (schnell): padded and cut as Black Forest Labs' code does. "
                    "exact: no padding. FLUX.1 reads padding too, so this changes the picture a little.",
                ),
                io.Combo.Input(
                    "weights",
                    options=list(MODES),
                    default=EMBEDDING,
                    optional=True,
                    tooltip="How (words:1.3) acts. embedding: as in ComfyUI, by moving the words' rows. attention: the "
                    "picture attends to the words as if they stood there 1.3 times; needs MMDiT Sampler, or Apply Duet "
                    "for native samplers. off: parentheses are text.",
                ),
            ],
            outputs=[FluxTxt.Output("txt", display_name="txt", tooltip="The T5 prompt's rows, for Dual Prompt.")],
        )

    @classmethod
    def execute(cls, clip, text, length=COMFYUI, weights=EMBEDDING) -> io.NodeOutput:
        from .encoding import encode_t5, t5_notes

        txt, cut = encode_t5(clip, text, length, weights)
        notes = t5_notes(clip, txt, cut)
        return io.NodeOutput(txt, ui=warn("\n".join(notes)) if notes else nothing())


class Inspect(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetInspect",
            display_name="Prompt Inspector",
            category=CATEGORY,
            description="Shows what CLIP-L and T5 each read of a prompt: every token, which are cut, weighted or "
            "unknown, and how many fit. No encoder is run.",
            search_aliases=["token counter", "tokenizer", "count tokens", "prompt length"],
            is_output_node=True,
            inputs=[
                io.Clip.Input("clip", tooltip="Any CLIP; its tokenizers are used, its encoders are not run."),
                io.String.Input("text", multiline=True, dynamic_prompts=True, tooltip="The prompt to look at."),
                io.Combo.Input(
                    "length",
                    options=list(LENGTHS),
                    default=COMFYUI,
                    tooltip="T5's length mode, as in T5 Encode.",
                ),
            ],
            outputs=[
                io.Image.Output("picture", display_name="picture", tooltip="A chip for each token."),
                io.String.Output(
                    "summary", display_name="summary", tooltip="Counts, and what is cut or unknown, in words."
                ),
                io.String.Output(
                    "json", display_name="json", tooltip="Every token: id, place in the text, weight, chunk."
                ),
            ],
        )

    @classmethod
    def execute(cls, clip, text, length=COMFYUI) -> io.NodeOutput:
        from ..pictures import as_image
        from .encoding import inspect
        from .tokens.chips import draw
        from .tokens.inspection import notes

        readings = inspect(clip, text, length)
        picture = as_image(draw(readings))
        summary = "\n".join([*(reading.headline for reading in readings), *notes(readings)])
        data = json.dumps([reading.as_json() for reading in readings])
        return io.NodeOutput(picture, summary, data, ui=ui.PreviewImage(picture, cls=cls))


NODES = [ClipEncode, T5Encode, Inspect]
