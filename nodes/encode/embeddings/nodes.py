"""The nodes that keep encodings on disk: files that people share, and the embedding store. Imports ComfyUI."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io, ui

from ...compat.execution import ExecutionBlocker
from ...disk.listing import files_in
from ...quoting import shorten
from ...sockets import FluxTxt, FluxVec
from .choices import Settings

CATEGORY = "Flux Duet/Encode"


class SaveStream(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetSaveStream",
            display_name="Save Embedding",
            category=CATEGORY,
            description="Saves a CLIP prompt, a T5 prompt or both in one .safetensors file, to keep or share. Load "
            "Embedding reads it without any text encoder. The file contains your prompt as readable text.",
            search_aliases=["save conditioning", "export embedding", "share prompt", "cache text encoder"],
            is_output_node=True,
            inputs=[
                io.String.Input(
                    "filename_prefix",
                    default="flux_duet/prompt",
                    tooltip="The prefix of the file name, in ComfyUI's output folder, as in Save Image. It may contain "
                    "%date:yyyy-MM-dd%, %year% and %Node.widget%.",
                ),
                FluxVec.Input("vec", optional=True, tooltip="The CLIP prompt, from CLIP-L Encode."),
                FluxTxt.Input("txt", optional=True, tooltip="The T5 prompt, from T5 Encode."),
            ],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix=None) -> bool | str:
        return _fault(filename_prefix or "") or True  # before anything is encoded, where it is typed

    @classmethod
    def execute(cls, filename_prefix, vec=None, txt=None) -> io.NodeOutput:
        from .stream_file import save

        streams = {name: stream for name, stream in (("vec", vec), ("txt", txt)) if stream is not None}
        if not streams:
            raise ValueError("Save Embedding: neither `vec` nor `txt` is connected. Connect at least one of them.")
        if wrong := _fault(filename_prefix):
            raise ValueError(f"Save Embedding: {wrong}")
        try:
            path = _next_path(filename_prefix)
            save(path, streams)
        except OSError as error:
            raise ValueError(
                f"Save Embedding: {shorten(repr(filename_prefix), 100)} cannot be written into ComfyUI's output folder "
                f"({error.strerror or type(error).__name__}). Choose another or a shorter name, free disk space, or "
                "make the folder writable."
            ) from error
        return io.NodeOutput(ui=ui.PreviewText(f"Saved {path.relative_to(folder_paths.get_output_directory())}"))


def _fault(prefix: str) -> str | None:
    """What is wrong with a file name; None if nothing is. ComfyUI would fill in a picture's size as 0."""
    if "\0" in prefix:
        return f"{shorten(repr(prefix), 100)} contains a null character, expected a name for a file."
    sizes = [size for size in ("%width%", "%height%") if size in prefix]
    if not sizes:
        return None
    return (
        f"{prefix!r} contains {' and '.join(sizes)}, but an embedding has no picture. Name the node that has one, "
        f"such as %EmptySD3LatentImage.{sizes[0].strip('%')}%, or remove it."
    )


def _next_path(prefix: str) -> Path:
    """A name that is not taken, counted on as ComfyUI counts pictures. ComfyUI refuses places outside its folder."""
    folder, name, counter, *_ = folder_paths.get_save_image_path(prefix, folder_paths.get_output_directory())
    while (path := Path(folder) / f"{name}_{counter:05}_.safetensors").exists():
        counter += 1
    return path


class LoadStream(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetLoadStream",
            display_name="Load Embedding",
            category=CATEGORY,
            description="Loads a prompt that Save Embedding saved. No text encoder is needed. Every file is checked "
            "before use, and nothing in it is run.",
            search_aliases=["load conditioning", "import embedding", "shared prompt"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=_files(),
                    tooltip="A .safetensors file in ComfyUI's input or output folder. Copy files from other people "
                    "into the input folder.",
                )
            ],
            outputs=[
                FluxVec.Output("vec", display_name="vec", tooltip="The CLIP prompt, if the file contains one."),
                FluxTxt.Output("txt", display_name="txt", tooltip="The T5 prompt, if the file contains one."),
                io.String.Output(
                    "about", display_name="about", tooltip="The prompts as text, their settings and their encoders."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, file=None) -> bool | str:
        if file is None or (isinstance(file, str) and folder_paths.exists_annotated_filepath(file)):
            return True
        return f"{shorten(repr(file), 100)} was not found in ComfyUI's input or output folder"

    @classmethod
    def fingerprint_inputs(cls, file=None):
        from ...disk.encoder_files import stat_of

        return stat_of(folder_paths.get_annotated_filepath(file)) if file else None

    @classmethod
    def execute(cls, file) -> io.NodeOutput:
        from .stream_file import STREAMS, load

        shared = load(Path(folder_paths.get_annotated_filepath(file)))
        about = shared.about()
        missing = {
            name: ExecutionBlocker(f"{file} has no `{name}`. Load a file that has, or encode it.") for name in STREAMS
        }
        return io.NodeOutput(*{**missing, **shared.streams}.values(), about, ui=ui.PreviewText(about))


def _files() -> list[str]:
    """All .safetensors of the input and the output folder, named as ComfyUI's own loaders name them."""
    places = (folder_paths.get_input_directory(), ""), (folder_paths.get_output_directory(), " [output]")
    return [f"{name}{mark}" for folder, mark in places for name in files_in(folder, ".safetensors")]


class EmbeddingStore(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetStore",
            display_name="Embedding Store",
            category=CATEGORY,
            description="Manages the embedding store: CLIP-L Encode and T5 Encode save encoded prompts on disk, so "
            "that the same prompt is not encoded again, even after a restart. Shows the store's size, limits it or "
            "empties it.",
            search_aliases=["cache", "text encoder cache", "clear cache", "disk"],
            is_output_node=True,
            inputs=[
                io.Boolean.Input(
                    "use",
                    default=Settings.on,
                    label_on="on",
                    label_off="off",
                    tooltip="on: encoded prompts are saved and used again. off: neither, in this and all later runs.",
                ),
                io.Int.Input(
                    "limit_mb",
                    default=Settings.limit_mb,
                    min=0,
                    max=1_000_000,
                    tooltip="Maximum size of the store, in MB. A T5 prompt of 256 tokens takes 2 to 4 MB. Beyond the "
                    "limit, the least recently used entries are deleted first.",
                ),
                io.Combo.Input(
                    "action",
                    options=["report", "empty"],
                    default="report",
                    tooltip="report: shows the size. empty: deletes all entries, each time this node runs.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "report", display_name="report", tooltip="The number of stored prompts and their size, as text."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, **_):
        return float("nan")  # never the same: the report is of now

    @classmethod
    def execute(cls, use, limit_mb, action) -> io.NodeOutput:
        from .cached import store

        shelf = store()
        left = shelf.empty() if action == "empty" else 0  # first: it may be what a full disk needs for the settings
        try:
            shelf.set(Settings(on=use, limit_mb=limit_mb))
        except OSError as error:
            raise ValueError(
                "Embedding Store: the settings cannot be written into ComfyUI's user folder "
                f"({error.strerror or error}), so the previous settings stay in use. Free disk space, or make "
                "the folder writable."
            ) from error
        count, size = shelf.size()
        report = f"{count} encodings, {size / 10**6:.1f} of {limit_mb} MB, {'on' if use else 'off'}\n{shelf.folder}"
        if left:
            report += f"\n{left} could not be deleted: another program uses them, or the folder is read-only."
        return io.NodeOutput(report, ui=ui.PreviewText(report))


NODES = [SaveStream, LoadStream, EmbeddingStore]
