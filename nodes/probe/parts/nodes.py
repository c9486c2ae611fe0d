"""LoRA Influence. Imports ComfyUI."""

from __future__ import annotations

import json

from comfy_api.latest import io, ui

from ...encode.tokens.lengths import COMFYUI
from ...flux1_sizes import PIXEL
from ...lora.choices import path_of, state_of
from ...notice import show
from ..lora_inputs import lora_inputs, prompt_inputs, rare_inputs, run_inputs
from .choices import NAME


class LoraInfluence(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetLoraInfluence",
            display_name=NAME,
            category="Flux Duet/LoRA",
            description="Shows which parts of a LoRA create its effect, and where in the picture. Evaluates the model "
            "on the same noisy pictures with the LoRA, without it, with each part alone and with each part removed.",
            search_aliases=["lora analysis", "lora blocks", "shapley", "what does a lora do", "ablation", "probe"],
            is_output_node=True,
            inputs=[
                *lora_inputs(),
                *prompt_inputs("", "a big yellow star in the middle"),
                io.Latent.Input("latent", tooltip="An empty latent, or a picture to start from. With a noise mask, "
                                "only the repainted area is measured."),
                *run_inputs(
                    "The random seed used for creating the noise.",
                    "Number of steps to measure, spread evenly over the run. More = finer curves, but slower: each "
                    "needs 17 model evaluations for a LoRA with 4 parts, 33 with 5, 15 with 6.",
                ),
                io.Vae.Input("vae", optional=True, tooltip="Shows the picture of the run next to the maps."),
                *rare_inputs("the run"),
            ],
            outputs=[
                io.Image.Output("plot", display_name="plot", tooltip="Each part's share of the effect, in total "
                                "and over the run."),
                io.Image.Output("map", display_name="map", tooltip="Where in the picture each part acts."),
                io.Mask.Output("masks", display_name="masks", tooltip="The maps as masks on one scale, one per part "
                "and picture, in the table's order."),
                io.String.Output("sentence", display_name="sentence", tooltip="The result in plain words."),
                io.String.Output("table", display_name="table", tooltip="The parts as a Markdown table."),
                io.String.Output("json", display_name="json", tooltip="All numbers, by step and part."),
                io.Latent.Output("latent_out", display_name="latent", tooltip="The latent of the run with the LoRA."),
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, lora_name=None, **_):
        return state_of(lora_name)

    @classmethod
    def execute(
        cls, model, clip, t5, lora_name, strength, clip_prompt, t5_prompt, latent, seed, steps, sampler, scheduler,
        guidance, measured_steps=4, vae=None, length=COMFYUI, like=None,
    ) -> io.NodeOutput:  # fmt: skip
        from torch.nn.functional import interpolate

        from ...decode.decoding import decode
        from ...lora.load import read
        from ...pictures import as_image
        from ...sample.sampling import SamplingPlan
        from ..run_settings import of_plan
        from ..with_lora import Subject, warned
        from . import draw
        from .measure import measure
        from .reading import as_json, sentence, table

        file = read(path_of(lora_name))
        subject = Subject(NAME, file, strength, model, clip, t5, guidance, length, like)
        plan = SamplingPlan(seed, steps, sampler, scheduler)
        reading, done = measure(subject, clip_prompt, t5_prompt, latent, plan, measured_steps)
        text, plot = sentence(reading), as_image(draw.plot(reading))
        found, most = draw.masks(reading)
        pictures = None if vae is None else decode(vae, done)[0]
        pages = as_image(draw.map_pages(reading, found, most, pictures))
        masks = interpolate(found, scale_factor=PIXEL, mode="bilinear", align_corners=False).flatten(0, 1)
        settings = {**of_plan(model, plan, latent, guidance), "clip": clip_prompt, "t5": t5_prompt}
        data = json.dumps(as_json(reading, text, settings), indent=1)
        shown = {**ui.PreviewImage(plot, cls=cls).as_dict(), **show(warned(subject, text))}
        return io.NodeOutput(plot, pages, masks, text, table(reading), data, done, ui=shown)


NODES = [LoraInfluence]
