"""LoRA Anatomy. Imports ComfyUI."""

from __future__ import annotations

import json

from comfy_api.latest import io, ui

from ...lora.choices import file_input, files, path_of, state_of
from ...notice import show
from .choices import NAME, NONE


class Anatomy(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetLoraAnatomy",
            display_name=NAME,
            category="Flux Duet/LoRA",
            description="Shows which blocks and which parts of FLUX.1 a LoRA changes, and how large the change is "
            "compared with the original weights. Can compare two LoRAs. Works with every format that ComfyUI reads. "
            "Nothing is sampled.",
            search_aliases=["lora analysis", "inspect lora", "lora blocks", "compare loras", "lora rank", "probe"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="The FLUX.1 model. LoRAs already applied to it are ignored."),
                io.Clip.Input("clip", optional=True, tooltip="A CLIP with CLIP-L alone or with both encoders."),
                io.Clip.Input("t5", optional=True, tooltip="A CLIP with T5 alone, from Load T5."),
                file_input(),
                io.Combo.Input(
                    "compare_with", options=[NONE, *files()], default=NONE,
                    optional=True, tooltip="A second LoRA to compare with. none = no comparison.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "plot", display_name="plot", tooltip="The size of the change in every block, one row per part."
                ),
                io.String.Output("sentence", display_name="sentence", tooltip="The result in plain words."),
                io.String.Output("json", display_name="json", tooltip="All numbers, by part, block and weight."),
                io.String.Output("table", display_name="table", tooltip="The parts as a Markdown table."),
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, lora_name=None, compare_with=NONE, **_):
        return [state_of(name) for name in (lora_name, compare_with) if name and name != NONE]

    @classmethod
    def execute(cls, model, lora_name, clip=None, t5=None, compare_with=NONE) -> io.NodeOutput:
        from ...family import require_flux1
        from ...lora.load import read
        from ...pictures import as_image
        from .draw import plot
        from .measure import measure
        from .reading import as_json, sentence, table

        require_flux1(model, NAME)
        files = [read(path_of(name)) for name in (lora_name, compare_with) if name != NONE]
        found = measure(files, model, [each for each in (clip, t5) if each is not None])
        text, picture = sentence(*found), as_image(plot(*found))
        shown = {**ui.PreviewImage(picture, cls=cls).as_dict(), **show(text)}
        return io.NodeOutput(picture, text, json.dumps(as_json(*found, text)), table(*found), ui=shown)


NODES = [Anatomy]
