"""The nodes that load a text encoder. Imports ComfyUI."""

from __future__ import annotations

import folder_paths
import torch
from comfy_api.latest import io

from ...disk.headers import fitting_first
from .choices import is_clip_l, is_t5

CATEGORY = "Flux Duet/Encode"


def _file_input(name: str, fits, tooltip: str):
    files = folder_paths.get_filename_list("text_encoders")
    options = fitting_first(files, lambda file: folder_paths.get_full_path("text_encoders", file), fits)
    return io.Combo.Input(name, options=options, tooltip=tooltip)


def _device_input():
    return io.Combo.Input(
        "device",
        options=["default", "cpu"],
        default="default",
        optional=True,
        advanced=True,
        tooltip="default: ComfyUI decides. cpu: the encoder runs on the processor, which is slower but needs no video "
        "memory. Choose it if video memory runs short.",
    )


def _load(load, filename: str, device: str):
    chosen = torch.device("cpu") if device == "cpu" else None
    return load(_path(filename), folder_paths.get_folder_paths("embeddings"), chosen)


def _path(filename: str) -> str:
    try:
        return folder_paths.get_full_path_or_raise("text_encoders", filename)
    except FileNotFoundError as error:  # also for a folder, a pipe or a broken link
        from .shapes import BadFile
        from .weights_file import CHOOSE

        raise BadFile(f"{filename} was not found in ComfyUI/models/text_encoders. {CHOOSE}") from error


def _version(filename: str | None) -> list[int] | None:
    """The file's identity: ComfyUI loads it again when this changes. None for a name that comes from a link."""
    from ...disk.encoder_files import stat_of

    return stat_of(_path(filename)) if filename else None


class LoadClip(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetLoadClip",
            display_name="Load CLIP-L",
            category=CATEGORY,
            description="Loads the CLIP-L text encoder alone, for CLIP-L Encode. Long-CLIP (248 positions) works too.",
            search_aliases=["clip loader", "clip_l", "long clip", "text encoder"],
            inputs=[
                _file_input(
                    "clip_name",
                    is_clip_l,
                    "A CLIP-L file in models/text_encoders, such as clip_l.safetensors. Matching files come first.",
                ),
                _device_input(),
            ],
            outputs=[io.Clip.Output(tooltip="CLIP-L alone. Connect it to CLIP-L Encode, or to LoraLoader first.")],
        )

    @classmethod
    def fingerprint_inputs(cls, clip_name, device="default"):
        return _version(clip_name)

    @classmethod
    def execute(cls, clip_name, device="default") -> io.NodeOutput:
        from .loading import load_clip_l

        return io.NodeOutput(_load(load_clip_l, clip_name, device))


class LoadT5(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetLoadT5",
            display_name="Load T5",
            category=CATEGORY,
            description="Loads the T5 text encoder alone, for T5 Encode: fp32, fp16, bf16, fp8 or ComfyUI's quantised "
            "formats. The file is only read if a prompt is not in the embedding store yet.",
            search_aliases=["clip loader", "t5xxl", "text encoder"],
            inputs=[
                _file_input(
                    "t5_name",
                    is_t5,
                    "A T5 file in models/text_encoders, such as t5xxl_fp16.safetensors. Matching files come first.",
                ),
                _device_input(),
            ],
            outputs=[io.Clip.Output(tooltip="T5 alone. Connect it to T5 Encode, or to LoraLoader first.")],
        )

    @classmethod
    def fingerprint_inputs(cls, t5_name, device="default"):
        return _version(t5_name)

    @classmethod
    def execute(cls, t5_name, device="default") -> io.NodeOutput:
        from .loading import load_t5

        return io.NodeOutput(_load(load_t5, t5_name, device))


NODES = [LoadClip, LoadT5]
