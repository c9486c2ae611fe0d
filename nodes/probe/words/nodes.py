"""Word Ablation. Imports ComfyUI."""

from __future__ import annotations

import json

from comfy_api.latest import io, ui

from ...compat.sampling import sampler_names
from ...condition.choices import DEFAULT_GUIDANCE, GUIDANCE_OFF
from ...notice import show
from ...sample.choices import SCHEDULERS
from ..like_input import like_input
from .choices import NAME


def _run_inputs():
    """The run that is sampled once."""
    return [
        io.Float.Input(
            "guidance", default=DEFAULT_GUIDANCE, min=GUIDANCE_OFF, max=100.0, step=0.1, round=0.01,
            tooltip="Distilled guidance, as in Dual Prompt; -1 switches it off.",
        ),
        io.Int.Input(
            "seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True,
            tooltip="The random seed used for creating the noise.",
        ),
        io.Int.Input("steps", default=20, min=1, max=10000,
                     tooltip="The number of steps used in the denoising process."),
        io.Combo.Input(
            "sampler", options=sampler_names(), default="euler",
            tooltip="As in MMDiT Sampler.",
        ),
        io.Combo.Input(
            "scheduler", options=SCHEDULERS, default="simple", tooltip="As in MMDiT Sampler.",
        ),
    ]  # fmt: skip


def _measure_inputs():
    """Where to measure, and which words."""
    return [
        io.String.Input(
            "at", display_name="noise levels (sigma)", default="0.9, 0.6, 0.3",
            tooltip="Noise levels (sigma, from 1 to 0) to measure at. The nearest steps of the run are used.",
        ),
        io.String.Input(
            "words", default="", optional=True,
            tooltip="Measure only these words, such as: red, circle. Empty: all. Each word costs up to two evaluations "
            "per level for T5 and one for CLIP.",
        ),
    ]  # fmt: skip


def _outputs():
    """What was measured, and where."""
    return [
        io.Image.Output("plot", display_name="plot", tooltip="Bars that show each word's effect."),
        io.String.Output("sentence", display_name="sentence", tooltip="The result in plain words."),
        io.String.Output("json", display_name="json", tooltip="Every word at every level."),
        io.Image.Output(
            "maps", display_name="maps",
            tooltip="Where the picture changes when a word is removed: one tile for each word, one sheet for each "
            "picture of a batch.",
        ),
    ]  # fmt: skip


class WordAblation(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetWords",
            display_name=NAME,
            category="Flux Duet/Analyse",
            description="Removes each word of both prompts in turn and measures how much the model's output changes, "
            "at a few noise levels of one run. For T5 in two ways: the word's tokens deleted, and the text encoded "
            "again without the word.",
            search_aliases=["word importance", "token ablation", "which word", "prompt words", "probe"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Clip.Input("clip", tooltip="Any CLIP that holds CLIP-L, as for CLIP-L Encode."),
                io.Clip.Input("t5", tooltip="Any CLIP that holds T5, as for T5 Encode."),
                io.String.Input(
                    "clip_text", multiline=True, dynamic_prompts=True,
                    tooltip="The CLIP prompt. Parentheses are text here, not weights.",
                ),
                io.String.Input(
                    "t5_text", multiline=True, dynamic_prompts=True,
                    tooltip="The T5 prompt. Parentheses are text here, not weights.",
                ),
                io.Latent.Input("latent", tooltip="The picture's size; a batch is measured as a whole."),
                *_run_inputs(),
                *_measure_inputs(),
                like_input("the run"),
                io.Vae.Input(
                    "vae", optional=True,
                    tooltip="Decodes the picture that `maps` are drawn over. Without it, the maps are drawn alone.",
                ),
            ],
            outputs=_outputs(),
        )  # fmt: skip

    @classmethod
    def execute(
        cls, model, clip, t5, clip_text, t5_text, latent, guidance, seed, steps, sampler, scheduler,
        at="0.9, 0.6, 0.3", words="", like=None, vae=None,
    ) -> io.NodeOutput:  # fmt: skip
        from ...condition.extras import extras_of
        from ...decode.decoding import decode
        from ...family import require_flux1, require_picture
        from ...pictures import as_image
        from ...sample.sampling import SamplingPlan
        from ..noise_levels import levels
        from .draw import maps, plot
        from .reading import as_json, sentence
        from .recorder import measure, prompts

        require_flux1(model, NAME, wrapped=True)
        extras = extras_of(like, NAME)
        require_picture(model, extras, NAME)
        plan = SamplingPlan(seed=seed, steps=steps, sampler=sampler, scheduler=scheduler)
        encoded = prompts(clip, t5, clip_text, t5_text, words)
        reading = measure(model, *encoded, latent, guidance, plan, levels(at, NAME), extras)
        text = sentence(reading)
        picture, pixels = as_image(plot(reading)), None if vae is None else decode(vae, reading.latent)[0]
        shown = {**ui.PreviewImage(picture, cls=cls).as_dict(), **show(text)}
        return io.NodeOutput(
            picture, text, json.dumps(as_json(reading, text)), as_image(maps(reading, pixels)), ui=shown
        )


NODES = [WordAblation]
