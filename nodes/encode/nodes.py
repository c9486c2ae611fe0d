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
            display_name="beyond 75 tokens",
            options=list(PAST),
            default=FIRST,
            optional=True,
            advanced=True,
            tooltip="For prompts of more than 75 tokens (Long-CLIP: 246). first: only the first 75 act, as in ComfyUI. "
            "average: the mean of the vectors of all chunks of 75. strongest: the chunk whose vector differs most from "
            "the empty prompt's.",
        ),
        io.Boolean.Input(
            "weights",
            default=True,
            optional=True,
            advanced=True,
            label_on="on",
            label_off="off",
            tooltip="on: (words:1.3) makes words stronger or weaker. off: parentheses are plain text; choose this if "
            "your prompt contains parentheses that are not weights.",
        ),
    ]  # fmt: skip


class ClipEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetClipEncode",
            display_name="CLIP-L Encode",
            category=CATEGORY,
            description="Encodes the CLIP prompt as one vector. It sets the style, light and mood of the whole "
            "picture. T5 is not run.",
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
                    "clip", tooltip="Any CLIP that contains CLIP-L: from Load CLIP-L, DualCLIPLoader or a checkpoint."
                ),
                io.String.Input(
                    "text",
                    multiline=True,
                    dynamic_prompts=True,
                    tooltip="The CLIP prompt: short phrases about style, light and mood. CLIP-L reads the first 75 "
                    "tokens. (words:1.3) makes words stronger, (words:0.5) weaker, (words:0) removes them.",
                ),
                *_rare_clip_inputs(),
            ],
            outputs=[FluxVec.Output("vec", display_name="vec", tooltip="The CLIP vector. Connect it to Dual Prompt.")],
        )

    @classmethod
    def execute(cls, clip, text, past_75=FIRST, weights=True) -> io.NodeOutput:
        from .clip_prompt import encode_clip_prompt

        vec, notes = encode_clip_prompt(clip, text, past_75, weights)
        return io.NodeOutput(vec, ui=warn("\n".join(notes)) if notes else nothing())


def _length() -> io.Combo.Input:
    return io.Combo.Input(
        "length",
        options=list(LENGTHS),
        default=COMFYUI,
        tooltip="How many tokens FLUX.1 gets. ComfyUI: pads to at least 256, never cuts. official 512 "
        "(dev), official 256 (schnell): pads and cuts as Black Forest Labs' code does. exact: no padding. "
        "FLUX.1 reads the padding too, so this changes the picture a little.",
    )


class T5Encode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetT5Encode",
            display_name="T5 Encode",
            category=CATEGORY,
            description="Encodes the T5 prompt as one embedding per token. It decides what is in the picture and "
            "where: objects, positions, relations, lettering. CLIP-L is not run.",
            search_aliases=["clip text encode", "clip encode", "t5xxl prompt", "long prompt", "prompt weight", "duet"],
            inputs=[
                io.Clip.Input(
                    "clip", tooltip="Any CLIP that contains T5: from Load T5, DualCLIPLoader or a checkpoint."
                ),
                io.String.Input(
                    "text",
                    multiline=True,
                    dynamic_prompts=True,
                    tooltip="The T5 prompt: whole sentences that describe what is in the picture, where it is and how "
                    "things relate.",
                ),
                _length(),
                io.Combo.Input(
                    "weights",
                    options=list(MODES),
                    default=EMBEDDING,
                    optional=True,
                    tooltip="How (words:1.3) acts. embedding: changes the words' embeddings, as ComfyUI does. "
                    "attention: acts as if the words appeared 1.3 times, which is more even; needs MMDiT Sampler, or "
                    "Apply Duet before a native sampler. off: parentheses are plain text.",
                ),
            ],
            outputs=[
                FluxTxt.Output(
                    "txt", display_name="txt", tooltip="The T5 prompt's token embeddings. Connect them to Dual Prompt."
                )
            ],
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
            description="Shows how CLIP-L and T5 read a prompt: all tokens, how many fit, and which are cut off, "
            "weighted or unknown. No encoder is run.",
            search_aliases=["token counter", "tokenizer", "count tokens", "prompt length"],
            is_output_node=True,
            inputs=[
                io.Clip.Input("clip", tooltip="Any CLIP. Only its tokenizers are used."),
                io.String.Input("text", multiline=True, dynamic_prompts=True, tooltip="The prompt to inspect."),
                io.Combo.Input(
                    "length",
                    options=list(LENGTHS),
                    default=COMFYUI,
                    tooltip="How T5 pads or cuts the prompt, as in T5 Encode.",
                ),
            ],
            outputs=[
                io.Image.Output("picture", display_name="picture", tooltip="A picture with one chip per token."),
                io.String.Output(
                    "summary", display_name="summary", tooltip="Token counts, and what is cut off or unknown, as text."
                ),
                io.String.Output(
                    "json",
                    display_name="json",
                    tooltip="All tokens as JSON: id, position in the text, weight and chunk.",
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
