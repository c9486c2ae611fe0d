"""Caption Check. Imports ComfyUI."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io, ui

from ..notice import show, warn
from .choices import NAME, T5_LENGTHS


def _inputs():
    return [
        io.String.Input(
            "folder", default="",
            tooltip="A folder in ComfyUI's input folder, with .txt or .caption files beside the pictures, "
            "metadata.jsonl, CSV, or kohya's JSON. Folders in it are read too. Nothing is written there.",
        ),
        io.String.Input(
            "trigger", default="",
            tooltip="The word that the LoRA is to be called by; several with commas. Empty: none is looked for.",
        ),
        io.Combo.Input(
            "t5_length", options=list(T5_LENGTHS), default=T5_LENGTHS[0],
            tooltip="The trainer's T5 length, with the end token: 512 for dev and 256 for schnell in sd-scripts, 77 "
            "is OneTrainer's default. CLIP-L always reads 75 tokens.",
        ),
        io.String.Input(
            "captions", multiline=True, default="", optional=True,
            tooltip="More captions, one a line: pasted, or from a node that writes captions. With these the folder "
            "may be empty.",
        ),
    ]  # fmt: skip


class CaptionCheck(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetCaptions",
            display_name=NAME,
            category="Flux Duet/lora",
            description="Shows what CLIP-L and T5 will read of the captions of a LoRA's training: what is cut, how "
            "the trigger falls into tokens, which captions lack it, and which words will be learned with it. No model "
            "is loaded.",
            search_aliases=["lora captions", "dataset", "training", "token count", "trigger word", "metadata.jsonl"],
            is_output_node=True,
            inputs=_inputs(),
            outputs=[
                io.Image.Output("picture", display_name="picture", tooltip="The captions' lengths, and the triggers."),
                io.String.Output("table", display_name="table", tooltip="The captions, those that lose most first."),
                io.String.Output("csv", display_name="csv", tooltip="Every caption, for a spreadsheet."),
                io.String.Output("json", display_name="json", tooltip="Every caption and everything that was found."),
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
        notes = "\n".join(summary.notes(done))
        shown = warn(notes, report=text) if done.found.problems else show("\n".join(filter(None, (text, notes))))
        outputs = summary.table(done), summary.as_csv(done), summary.as_json(done), text
        return io.NodeOutput(picture, *outputs, ui={**ui.PreviewImage(picture, cls=cls).as_dict(), **shown})


NODES = [CaptionCheck]
