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
            description="Measures through which of its parts a LoRA acts: on the same noisy picture, the model is "
            "evaluated with the LoRA, without it, with each part alone and with each part left out. Shares, maps and "
            "a sentence.",
            search_aliases=["lora analysis", "lora blocks", "shapley", "what does a lora do", "ablation", "probe"],
            is_output_node=True,
            inputs=[
                *lora_inputs(),
                *prompt_inputs("", "a big yellow star in the middle"),
                io.Latent.Input("latent", tooltip="An empty latent, or a picture to start from; its mask is "
                                "respected."),
                *run_inputs(
                    "The seed of the run on whose noisy pictures the model is evaluated.",
                    "At how many steps to measure, evenly spread over the run. Each costs one evaluation for each set "
                    "of parts: 16 for four parts, 32 for five, 14 for six, and one more.",
                ),
                io.Vae.Input("vae", optional=True, tooltip="Shows the run's picture beside the maps."),
                *rare_inputs("the run"),
            ],
            outputs=[
                io.Image.Output("plot", display_name="plot", tooltip="Each part's share, alone and left out, and over "
                "the run."),
                io.Image.Output("map", display_name="map", tooltip="Where each part acts, one for each picture."),
                io.Mask.Output("masks", display_name="masks", tooltip="The maps as masks on one scale: for each part, "
                "in the table's order, one for each picture."),
                io.String.Output("sentence", display_name="sentence", tooltip="The result in plain words."),
                io.String.Output("table", display_name="table", tooltip="The parts as a table in Markdown."),
                io.String.Output("json", display_name="json", tooltip="Every number, by step and part."),
                io.Latent.Output("latent_out", display_name="latent", tooltip="The run's picture, with the LoRA."),
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
