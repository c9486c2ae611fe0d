"""The node that draws CLIP prompts x T5 prompts. Imports ComfyUI."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io, ui

from ...compat.sampling import sampler_names
from ...condition.choices import DEFAULT_GUIDANCE, GUIDANCE_OFF
from ...disk.listing import files_in
from ...encode.choices import EMBEDDING, FIRST, MODES, PAST
from ...encode.tokens.lengths import COMFYUI, LENGTHS
from ...keys import SAMPLES
from ...notice import log, show
from ...sample.choices import SCHEDULERS
from ..like_input import like_input
from ..workers_input import workers_input
from .choices import EACH, MEAN, NAME, NONE

NO_FILE = "(none)"
NOT_KEPT = (
    "Prompt Grid: cells are not kept, so an interrupted grid starts from the beginning. The node cannot tell what its "
    "pictures depend on: the MODEL comes from a loader other than ComfyUI's own, another node wraps the model, or "
    "`like` holds a ControlNet or hooks."
)


def _files() -> list[str]:
    """The choices of a file input: the .txt files in ComfyUI's input folder."""
    return [NO_FILE, *files_in(folder_paths.get_input_directory(), ".txt")]


def _file(name: str) -> Path | None:
    return None if name == NO_FILE else Path(folder_paths.get_annotated_filepath(name))


def _lines(text: str | None) -> list:
    """The lines of `loras`. Raises ValueError for a wrong one."""
    from .lora_lines import parsed

    return parsed(text, folder_paths.get_filename_list("loras")) if text and text.strip() else []


def _shown(sheet, table: dict, text: str, notes: list[str], cls: type) -> dict:
    """What the node shows; the messages are logged too."""
    for note in notes:
        log.warning(note)
    return {**ui.PreviewImage(sheet, cls=cls).as_dict(), **show("\n".join([text, *notes])),
            "flux_duet_grid": [{**table, "notes": notes}]}  # fmt: skip


def _prompts(stream: str, example: str):
    return io.String.Input(
        f"{stream}_prompts", multiline=True, dynamic_prompts=True, default=example,
        tooltip='One prompt per line. "" is the empty prompt. To use prompts of several lines, put a line with --- '
        "between them.",
    )  # fmt: skip


def _rare():
    """Inputs that few grids change."""
    rare = {"optional": True, "advanced": True}
    return [
        io.Combo.Input("length", options=list(LENGTHS), default=COMFYUI, tooltip="T5's, as in T5 Encode.", **rare),
        io.Combo.Input("weights", options=list(MODES), default=EMBEDDING, tooltip="T5's, as in T5 Encode.", **rare),
        io.Combo.Input("past_75", display_name="beyond 75 tokens", options=list(PAST), default=FIRST,
                       tooltip="As in CLIP-L Encode.", **rare),
        io.Combo.Input("clip_file", options=_files(), default=NO_FILE,
                       tooltip="More CLIP prompts, from a .txt in ComfyUI's input folder.", **rare),
        io.Combo.Input("t5_file", options=_files(), default=NO_FILE,
                       tooltip="More T5 prompts, from a .txt in ComfyUI's input folder.", **rare),
        io.Combo.Input("sheet", options=[EACH, MEAN], default=EACH, tooltip="Which contact sheets to draw.", **rare),
        io.Boolean.Input("resume", default=True, label_on="keep cells", label_off="draw all",
                         tooltip="Keeps finished cells on disk for two weeks, 1 GB at most, so that an interrupted "
                         "grid continues where it stopped.", **rare),
    ]  # fmt: skip


def _connected():
    """What is connected where it is needed, and the axis of LoRAs."""
    return [
        like_input("every cell"),
        io.String.Input(
            "loras", multiline=True, default="", optional=True,
            tooltip="LoRAs to compare, one per line: a file in models/loras and its strength, such as "
            f"style.safetensors 0.8. {NONE}: without LoRA. Each acts on the model and on both encoders. Empty: compare "
            "no LoRAs.",
        ),
        workers_input(),
    ]  # fmt: skip


def _grid_outputs():
    """The sheet and its cells, and what explains their differences."""
    return [
        io.Image.Output("sheet", display_name="sheet", tooltip="Rows of CLIP prompts, columns of T5 prompts."),
        io.Latent.Output("latents", display_name="latents",
                         tooltip="All cells, ordered by LoRA, then by seed, then by CLIP prompt, then by T5 prompt."),
        io.Image.Output("variance", display_name="variance",
                        tooltip="What explains the differences between the pictures, and where."),
        io.String.Output("json", display_name="json", tooltip="All numbers."),
        io.String.Output("sentence", display_name="sentence", tooltip="The result in plain words."),
    ]  # fmt: skip


class PromptGrid(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetGrid",
            display_name=NAME,
            category="Flux Duet/Analyse",
            description="Draws every CLIP prompt with every T5 prompt, and with each of several LoRAs, on a labelled "
            "sheet. Computes how much of the differences comes from CLIP, T5, the LoRA, their combinations and the "
            "seed.",
            search_aliases=["xy plot", "contact sheet", "prompt matrix", "anova", "variance", "compare loras"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Clip.Input("clip", tooltip="Any CLIP that holds CLIP-L."),
                io.Clip.Input("t5", tooltip="Any CLIP that holds T5; it may be the same."),
                io.Vae.Input("vae", tooltip="The autoencoder, such as ae.safetensors."),
                _prompts("clip", "at night\non pink paper"),
                _prompts("t5", "a big yellow star in the middle\na small red heart in the top left"),
                io.Latent.Input("latent", tooltip="An empty latent of one picture, or one to start from."),
                io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True,
                             tooltip="The first random seed; the others count up from it."),
                io.Int.Input("seeds", default=4, min=1, max=64,
                             tooltip="Number of seeds for each cell. Confidence intervals need at least three; with "
                             "one, the effect of the prompts cannot be separated from the effect of the seed."),
                io.Int.Input("steps", default=20, min=1, max=10000, tooltip="The steps of every picture."),
                io.Combo.Input("sampler", options=sampler_names(), default="euler",
                               tooltip="As in MMDiT Sampler."),
                io.Combo.Input("scheduler", options=SCHEDULERS, default="simple", tooltip="As in MMDiT Sampler."),
                io.Float.Input("guidance", default=DEFAULT_GUIDANCE, min=GUIDANCE_OFF, max=100.0, step=0.1, round=0.01,
                               tooltip="Distilled guidance, as in Dual Prompt; -1 switches it off."),
                *_rare(),
                *_connected(),
            ],
            outputs=_grid_outputs(),
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, loras="") -> bool | str:
        try:
            _lines(loras)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, clip_file=NO_FILE, t5_file=NO_FILE, loras="", **_):
        from ...disk.encoder_files import stat_of

        paths = [*map(_file, (clip_file or NO_FILE, t5_file or NO_FILE))]
        paths += [folder_paths.get_full_path_or_raise("loras", line.file) for line in _lines(loras) if line.file]
        return [stat_of(path) for path in paths if path]

    @classmethod
    def execute(
        cls, model, clip, t5, vae, clip_prompts, t5_prompts, latent, seed, seeds, steps, sampler, scheduler, guidance,
        length=COMFYUI, weights=EMBEDDING, past_75=FIRST, clip_file=NO_FILE, t5_file=NO_FILE, sheet=EACH, resume=True,
        like=None, loras="", workers=None,
    ) -> io.NodeOutput:  # fmt: skip
        from ...pictures import as_image
        from ...sample.sampling import SamplingPlan
        from ..run_settings import of_plan
        from . import machines, stages, summary
        from .cells import draw
        from .on_workers import grid_workers
        from .prompts import gathered
        from .variants import as_json

        extras = stages.extras(model, like)
        rows = gathered("CLIP", clip_prompts, _file(clip_file))
        columns = gathered("T5", t5_prompts, _file(t5_file))
        encoded = stages.encoded(model, clip, t5, rows, columns, _lines(loras), past_75, length, weights, extras)
        variants, notes = encoded
        all_seeds = [(seed + number) % 2**64 for number in range(seeds)]
        plan = SamplingPlan(seed, steps, sampler, scheduler)
        helpers = grid_workers(workers, cls, extras, len(columns))
        drawn = draw(variants, guidance, latent, plan, all_seeds, resume, helpers)
        made = machines.by_machine(drawn)
        notes += [*drawn.notes, *([NOT_KEPT] if resume and not drawn.kept else []), *machines.note(made)]
        pictures = stages.decoded(vae, drawn.latents)
        analyses = stages.analysed(drawn.latents, pictures, drawn.mask)
        names = [each.line.label for each in variants if each.line]
        sheet = stages.sheet(pictures, rows, columns, all_seeds, sheet, names)
        text = summary.sentence(analyses["pixels"], "pixels")
        data = summary.as_json(analyses, rows, columns, all_seeds, cells_from_before=drawn.found,
                               repainted=analyses["latents"].repainted, **as_json(variants), **made,
                               settings=of_plan(model, plan, latent, guidance))  # fmt: skip
        table = stages.table(pictures, analyses["pixels"], rows, columns, all_seeds, cls, names, drawn.made)
        latents = {SAMPLES: drawn.latents.flatten(0, 3)}
        shown = _shown(sheet, table, text, notes, cls)
        return io.NodeOutput(sheet, latents, as_image(summary.page(analyses)), data, text, ui=shown)


class GridCell(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetCell",
            display_name="Grid Cell",
            category="Flux Duet/Analyse",
            description="Draws one picture of a Prompt Grid on a worker. Prompt Grid adds it to the workflow that it "
            "sends to Ray Workers; there is no use for it on the canvas.",
            is_output_node=True,
            is_dev_only=True,
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Latent.Input("latent", tooltip="An empty latent of one picture, or one to start from."),
                io.String.Input("vec_file", tooltip="The CLIP prompt's embedding, in ComfyUI's input folder."),
                io.String.Input("txt_file", tooltip="The T5 prompt's embedding, in ComfyUI's input folder."),
                io.Float.Input("guidance", default=DEFAULT_GUIDANCE, min=GUIDANCE_OFF, max=100.0, step=0.1, round=0.01,
                               tooltip="Distilled guidance, as in Dual Prompt; -1 switches it off."),
                io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF,
                             tooltip="The random seed used for creating the noise."),
                io.Int.Input("steps", default=20, min=1, max=10000, tooltip="The steps of every picture."),
                io.Combo.Input("sampler", options=sampler_names(), default="euler", tooltip="As in MMDiT Sampler."),
                io.Combo.Input("scheduler", options=SCHEDULERS, default="simple", tooltip="As in MMDiT Sampler."),
                like_input("every cell"),
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, **_):
        return float("nan")  # never the same: the file of an earlier run has gone home

    @classmethod
    def execute(
        cls, model, latent, vec_file, txt_file, guidance, seed, steps, sampler, scheduler, like=None
    ) -> io.NodeOutput:
        from ...sample.sampling import SamplingPlan
        from .one_cell import conditioning, drawn

        plan = SamplingPlan(seed, steps, sampler, scheduler)
        return io.NodeOutput(ui=drawn(model, conditioning(vec_file, txt_file, guidance, like), latent, plan))


NODES = [PromptGrid, GridCell]
