"""Heatmap of a Picture. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..heat.choices import BACKGROUND, CONCEPT, MEASURES, OFF, SOFT, SPREAD
from ..heat.shared import heatmap_outputs, masks_input, word_input
from .choices import MEGAPIXELS, NAME, NOISES, SIGMA


def _measure_inputs():
    """What a map is of."""
    return [
        io.Combo.Input(
            "measure", options=[CONCEPT, *MEASURES], default=CONCEPT, optional=True,
            tooltip="concept: as in Concept Heatmap; the prompt need not contain the words. The others: as in Token "
            "Heatmap; the prompt must contain the words.",
        ),
        io.String.Input(
            "prompt", default="", multiline=True, dynamic_prompts=True, optional=True,
            tooltip="The text that the model reads while it looks at the picture, such as a caption. Empty: the words.",
        ),
        io.String.Input(
            "background", default=BACKGROUND, optional=True,
            tooltip="For concept: things to compare the words with; they get no map. Name what else is in the picture "
            "to get tighter maps.",
        ),
        io.Combo.Input(
            "refine", options=[OFF, SPREAD], default=OFF, optional=True,
            tooltip="spread: extend each map from its peak to all similar areas (after AnchorDiff).",
        ),
    ]  # fmt: skip


def _look_inputs():
    """How the model looks at the picture."""
    return [
        io.Float.Input(
            "sigma", default=SIGMA, min=0.01, max=1.0, step=0.05, round=0.001, optional=True, advanced=True,
            tooltip="Amount of noise added to the picture before the model looks at it. 1 is pure noise; the published "
            "value is 0.5.",
        ),
        io.Int.Input(
            "noises", default=NOISES, min=1, max=100, optional=True, advanced=True,
            tooltip="Number of noises to average the maps over. Each costs one evaluation of the model per picture.",
        ),
        io.Int.Input(
            "seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, optional=True, advanced=True,
            tooltip="The random seed of the first noise; the others count up from it. The same for every picture.",
        ),
        io.String.Input(
            "blocks", default="", optional=True, advanced=True,
            tooltip="Blocks to average over: numbers, ranges (5-18), double, single, all. Empty: 14-17, as published; "
            "in a model smaller than FLUX.1 all blocks, or all double blocks for concept.",
        ),
        io.Float.Input(
            "megapixels", default=MEGAPIXELS, min=0.0, max=16.0, step=0.1, round=0.01, optional=True, advanced=True,
            tooltip="Larger pictures are scaled down to this size before the model looks at them, in units of 1024 x "
            "1024 pixels. The masks keep the picture's own size. 0: no limit.",
        ),
    ]  # fmt: skip


class PictureHeatmap(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetPictureHeatmap",
            display_name=NAME,
            category="Flux Duet/Analyse",
            description="Finds words in any picture, such as a photograph, without sampling: adds noise, lets FLUX.1 "
            "look at it, and draws where each word is. Each map is also a mask, for inpainting.",
            search_aliases=["segment by word", "mask from word", "conceptattention", "clipseg", "photo", "inpaint",
                            "attention map", "find object"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Clip.Input(
                    "clip", tooltip="Any CLIP that holds T5. If it also holds CLIP-L, CLIP-L reads the prompt too.",
                ),
                io.Vae.Input("vae", tooltip="The model's VAE, such as ae.safetensors."),
                io.Image.Input("image", tooltip="One picture or a batch, of any size."),
                io.String.Input(
                    "words", default="", multiline=True,
                    tooltip="What to find, separated by commas or line breaks. Best: one word each, without an "
                    "article.",
                ),
                word_input(),
                masks_input(),
                *_measure_inputs(),
                *_look_inputs(),
            ],
            outputs=heatmap_outputs(),
        )  # fmt: skip

    @classmethod
    def execute(
        cls, model, clip, vae, image, words="", word="", masks=SOFT, measure=CONCEPT, prompt="", background=BACKGROUND,
        refine=OFF, sigma=SIGMA, noises=NOISES, seed=0, blocks="", megapixels=MEGAPIXELS,
    ) -> io.NodeOutput:  # fmt: skip
        from ...condition.blocks import Blocks
        from ..heat import showing
        from ..heat.reading import Choice
        from .fitting import Fit
        from .looking import Question, default_blocks, encoded, looked

        fit = Fit.of(tuple(image.shape[1:3]), megapixels)
        question = Question(words, measure, prompt, background, sigma, noises, seed, likeness=refine == SPREAD)
        pictures = fit.put(image)
        reading, settings = looked(model, clip, encoded(vae, pictures), question)
        number = showing.number_of(word, reading.words, NAME)
        blocks = blocks if blocks.strip() else default_blocks(model, measure)
        choice = Choice(blocks=Blocks.parse(blocks))
        found = showing.maps_of(reading, choice, refine)
        out = showing.shown(
            reading, choice, found, settings, pictures, masks, fit.whole, cls, question.recorded(blocks)
        )  # fmt: skip
        sheets, each, names, data, own = out.outputs(number)
        return io.NodeOutput(sheets, fit.cut(each), names, data, fit.cut(own), ui=out.ui)


NODES = [PictureHeatmap]
