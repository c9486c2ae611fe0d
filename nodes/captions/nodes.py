"""Caption Check. Imports ComfyUI."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io, ui

from ..notice import log, show
from .choices import NAME, T5_LENGTHS


def _inputs():
    return [
        io.String.Input(
            "folder", default="",
            tooltip="A folder inside ComfyUI's input folder, with .txt or .caption files, metadata.jsonl, CSV or "
            "kohya's JSON. Subfolders are read too. Nothing is written.",
        ),
        io.String.Input(
            "trigger", default="",
            tooltip="The trigger word of the LoRA. Separate several with commas. Empty: triggers are not checked.",
        ),
        io.Combo.Input(
            "t5_length", options=list(T5_LENGTHS), default=T5_LENGTHS[0],
            tooltip="Maximum T5 length of your trainer, including the end token. sd-scripts: 512 for dev, 256 for "
            "schnell; OneTrainer: 77 by default. CLIP-L always reads 75 tokens.",
        ),
        io.String.Input(
            "captions", optional=True, force_input=True,
            tooltip="More captions, one per line, from a text node or a captioning node. If connected, `folder` may be "
            "empty.",
        ),
    ]  # fmt: skip


class CaptionCheck(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetCaptions",
            display_name=NAME,
            category="Flux Duet/LoRA",
            description="Checks the captions of a LoRA training set: which text CLIP-L and T5 cut off, how many tokens "
            "the trigger word has, which captions lack it, and which other words the LoRA will learn with it. No model "
            "is loaded.",
            search_aliases=["lora captions", "dataset", "training", "token count", "trigger word", "metadata.jsonl"],
            is_output_node=True,
            inputs=_inputs(),
            outputs=[
                io.Image.Output(
                    "picture",
                    display_name="picture",
                    tooltip="Caption lengths, where captions are cut, and the tokens of each trigger.",
                ),
                io.String.Output(
                    "table",
                    display_name="table",
                    tooltip="The captions as a table; the most shortened ones come first.",
                ),
                io.String.Output("csv", display_name="csv", tooltip="All captions as CSV."),
                io.String.Output("json", display_name="json", tooltip="All captions and all results as JSON."),
                io.String.Output("sentence", display_name="sentence", tooltip="The result in plain words."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder="", **_):
        from .folder import chosen, state

        root = Path(folder_paths.get_input_directory())
        try:
            return state(chosen(root, folder), root)
        except (ValueError, AttributeError):  # no folder, or a link, whose value is not known yet
            return None

    @classmethod
    def execute(cls, folder, trigger="", t5_length=T5_LENGTHS[0], captions="") -> io.NodeOutput:
        from ..pictures import as_image
        from . import page, summary
        from .run import checked

        done = checked(Path(folder_paths.get_input_directory()), folder, trigger, int(t5_length), captions)
        picture, text = as_image(page.draw(done)), summary.sentence(done)
        for problem in done.found.problems[: summary.MOST_PROBLEMS]:
            log.warning("%s: %s", NAME, problem)
        shown = {**ui.PreviewImage(picture, cls=cls).as_dict(), **show(text)}
        return io.NodeOutput(picture, summary.table(done), summary.as_csv(done), summary.as_json(done), text, ui=shown)


NODES = [CaptionCheck]
