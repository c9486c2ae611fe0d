"""Trigger Test. Imports ComfyUI."""

from __future__ import annotations

import json

from comfy_api.latest import io, ui

from ...encode.tokens.lengths import COMFYUI
from ...lora.choices import path_of, state_of
from ...notice import show
from ..lora_inputs import lora_inputs, prompt_inputs, rare_inputs, run_inputs
from .choices import NAME


def _outputs():
    return [
        io.Image.Output("plot", display_name="plot", tooltip="The LoRA's effect with the word in neither prompt, one "
                        "or both, with intervals."),
        io.Image.Output("sheet", display_name="sheet", tooltip="Pictures without and with the LoRA, for each "
                        "placement of the word."),
        io.String.Output("sentence", display_name="sentence", tooltip="The verdict in plain words."),
        io.String.Output("table", display_name="table", tooltip="The effects as a Markdown table."),
        io.String.Output("json", display_name="json", tooltip="All numbers, by step, and the prompts."),
    ]  # fmt: skip


class TriggerTest(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetTrigger",
            display_name=NAME,
            category="Flux Duet/LoRA",
            description="Tests if a LoRA needs its trigger word, and in which prompt. Compares the model with and "
            "without the LoRA, with the word in neither prompt, only in the CLIP prompt, only in the T5 prompt and in "
            "both. Returns a verdict, effects with intervals, and pictures.",
            search_aliases=["trigger word", "activation", "lora test", "does my trigger work", "token", "probe"],
            is_output_node=True,
            inputs=[
                *lora_inputs(),
                io.String.Input("trigger", default="", tooltip="The trigger of the LoRA: one or more words. Case does "
                                "not matter."),
                *prompt_inputs("", "a big yellow star in the middle", " If it contains the trigger, the trigger is "
                               "removed for the comparison; if not, it is added in front."),
                io.String.Input("instead", default="", tooltip="Text that replaces the trigger where it is removed, "
                                "such as man for a person's name. Empty: no replacement."),
                io.Latent.Input("latent", tooltip="An empty latent of one picture, or one picture to start from. With "
                                "a noise mask, only the repainted area is measured."),
                *run_inputs(
                    "The first random seed. Further seeds count up from it.",
                    "Number of steps to measure, spread evenly over the run. Each needs nine model evaluations per "
                    "seed.",
                    [io.Int.Input("seeds", default=4, min=1, max=16, tooltip="Number of seeds to test. More seeds make "
                                  "the verdict more certain, but take longer. Intervals need at least three.")],
                ),
                io.Vae.Input("vae", optional=True, tooltip="Draws the eight pictures of the first seed. This takes "
                             "seven more runs."),
                *rare_inputs("every prompt"),
            ],
            outputs=_outputs(),
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, lora_name=None, **_):
        return state_of(lora_name)

    @classmethod
    def execute(
        cls, model, clip, t5, lora_name, strength, trigger, clip_prompt, t5_prompt, instead, latent, seed, seeds, steps,
        sampler, scheduler, guidance, measured_steps, vae=None, length=COMFYUI, like=None,
    ) -> io.NodeOutput:  # fmt: skip
        from ...decode.decoding import decode
        from ...keys import SAMPLES
        from ...lora.load import read
        from ...pictures import as_image
        from ...sample.sampling import SamplingPlan
        from ..plots import sheets
        from ..run_settings import of_plan
        from ..with_lora import Subject, warned
        from . import draw
        from .measure import Question, measure
        from .reading import as_json, sentence, table

        question = Question(clip_prompt, t5_prompt, trigger, instead)
        file = read(path_of(lora_name))
        subject = Subject(NAME, file, strength, model, clip, t5, guidance, length, like)
        plan, numbers = SamplingPlan(seed, steps, sampler, scheduler), [(seed + at) % 2**64 for at in range(seeds)]
        reading, latents = measure(subject, question, latent, plan, numbers, measured_steps, vae is not None)
        text, plot = sentence(reading), as_image(draw.plot(reading))
        page = draw.no_pictures()
        if latents is not None:
            page = draw.sheet(reading, [sheets.picture(each) for each in decode(vae, {SAMPLES: latents})[0]])
        data = json.dumps(as_json(reading, text, of_plan(model, plan, latent, guidance)), indent=1)
        shown = {**ui.PreviewImage(plot, cls=cls).as_dict(), **show(warned(subject, text))}
        return io.NodeOutput(plot, as_image(page), text, table(reading), data, ui=shown)


NODES = [TriggerTest]
