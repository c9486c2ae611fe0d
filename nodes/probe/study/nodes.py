"""The node that measures the influence of both encoders over many prompts. Imports ComfyUI."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io, ui

from ...compat.sampling import sampler_names
from ...condition.choices import DEFAULT_GUIDANCE, GUIDANCE_OFF
from ...disk.listing import files_in
from ...encode.tokens.lengths import COMFYUI, LENGTHS
from ...notice import log, show
from ...sample.choices import SCHEDULERS
from ..workers_input import workers_input
from .choices import EMPTY, NAME, NO_FILE, PARTED, ZEROS

EXAMPLE = f"a big yellow star in the middle\nat night {PARTED} a small red heart in the top left"


def _file(name: str | None) -> Path | None:
    return None if name in (None, NO_FILE) else Path(folder_paths.get_annotated_filepath(name))


def _prompts():
    return [
        io.String.Input("prompts", multiline=True, dynamic_prompts=True, default=EXAMPLE,
                        tooltip="One prompt per line, for both encoders. To give each encoder its own: CLIP prompt "
                        f'{PARTED} T5 prompt. "" is the empty prompt.'),
        io.Combo.Input("file", options=[NO_FILE, *files_in(folder_paths.get_input_directory(), ".txt")],
                       default=NO_FILE, tooltip="More prompts, from a .txt in ComfyUI's input folder."),
    ]  # fmt: skip


def _rare():
    """Inputs that few studies change."""
    rare = {"optional": True, "advanced": True}
    return [
        io.Combo.Input("null", display_name="empty prompt as", options=[EMPTY, ZEROS], default=EMPTY,
                       tooltip='What counts as "no prompt": an encoded empty text, or zeros.', **rare),
        io.Int.Input("every", display_name="measure every n steps", default=1, min=1, max=1000,
                     tooltip="1 measures every step. Higher values are faster: a measured step costs up to 5 times a "
                     "plain step.", **rare),
        io.Combo.Input("length", options=list(LENGTHS), default=COMFYUI, tooltip="T5's, as in T5 Encode.", **rare),
        io.Boolean.Input("resume", default=True, label_on="keep numbers", label_off="measure all",
                         tooltip="Keeps the numbers of finished runs on disk for two weeks, so that an interrupted "
                         "study continues where it stopped.", **rare),
    ]  # fmt: skip


class InfluenceStudy(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetStudy",
            display_name=NAME,
            category="Flux Duet/Analyse",
            description="Runs Encoder Influence on a list or a file of prompts: how much CLIP and T5 change for each "
            "prompt, the mean with its confidence interval, and the outliers.",
            search_aliases=["clip vs t5", "many prompts", "batch", "statistics", "outliers", "dataset"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Clip.Input("clip", tooltip="Any CLIP that holds CLIP-L."),
                io.Clip.Input("t5", tooltip="Any CLIP that holds T5; it may be the same."),
                *_prompts(),
                io.Latent.Input("latent", tooltip="An empty latent of one picture, or one to start from."),
                io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True,
                             tooltip="The first random seed; the others count up from it."),
                io.Int.Input("seeds", default=1, min=1, max=64,
                             tooltip="Number of seeds for each prompt. The result is their mean."),
                io.Int.Input("steps", default=20, min=1, max=10000, tooltip="The steps of every picture."),
                io.Combo.Input("sampler", options=sampler_names(), default="euler", tooltip="As in MMDiT Sampler."),
                io.Combo.Input("scheduler", options=SCHEDULERS, default="simple", tooltip="As in MMDiT Sampler."),
                io.Float.Input("guidance", default=DEFAULT_GUIDANCE, min=GUIDANCE_OFF, max=100.0, step=0.1, round=0.01,
                               tooltip="Distilled guidance, as in Dual Prompt; -1 switches it off."),
                *_rare(),
                workers_input(),
            ],
            outputs=[
                io.Image.Output("plot", display_name="plot",
                                tooltip="Means with confidence intervals, and every prompt."),
                io.String.Output("csv", display_name="csv", tooltip="A line for each prompt."),
                io.String.Output("json", display_name="json", tooltip="All numbers."),
                io.String.Output("sentence", display_name="sentence", tooltip="The result in plain words."),
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, file=NO_FILE, **_):
        from ...disk.encoder_files import stat_of

        path = _file(file)
        return stat_of(path) if path else None

    @classmethod
    def execute(
        cls, model, clip, t5, prompts, file, latent, seed, seeds, steps, sampler, scheduler, guidance, null=EMPTY,
        every=1, length=COMFYUI, resume=True, workers=None,
    ) -> io.NodeOutput:  # fmt: skip
        from ...compat.execution import running_node_id
        from ...pictures import as_image
        from ...sample.sampling import SamplingPlan
        from ..run_settings import of_plan
        from .encode import encoded, pairs
        from .reading import Study
        from .runs import Measure, Runs

        texts = pairs(prompts, _file(file))
        encodings, empty, notes = encoded(model, clip, t5, texts, length, latent)
        all_seeds = [(seed + number) % 2**64 for number in range(seeds)]
        plan = SamplingPlan(seed, steps, sampler, scheduler)
        runs = Runs(model, encodings, all_seeds, Measure(guidance, null, every, empty, latent, plan), resume)
        runs.look_up(workers is not None)
        if workers is None or not runs.missing:
            runs.here()
        else:
            notes += runs.on(workers, cls.hidden.prompt, running_node_id())
        records = [runs.done[number] for number in range(len(runs.keys))]
        study = Study(texts, all_seeds, [records[at : at + seeds] for at in range(0, len(records), seeds)])
        plot, text = as_image(study.plot()), study.sentence()
        data = study.as_json(null=null, runs_from_before=runs.found, settings=of_plan(model, plan, latent, guidance))
        for note in notes:
            log.warning(note)
        shown = {**ui.PreviewImage(plot, cls=cls).as_dict(), **show("\n".join([text, *notes]))}
        return io.NodeOutput(plot, study.csv(), data, text, ui=shown)


NODES = [InfluenceStudy]
