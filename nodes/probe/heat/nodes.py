"""The nodes that show where each word acts. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ...condition.blocks import Blocks
from ...flux1_sizes import HEADS, TOKEN
from ...sockets import FluxHeatmap, FluxTxt
from .choices import ALL_HEADS, AT, BACKGROUND, MASS, MEASURES, OFF, SOFT, SPREAD
from .shared import heatmap_outputs, masks_input, word_input

CATEGORY = "Flux Duet/Analyse"
TITLE = "Token Heatmap"


def _measure_input():
    """What a map is of."""
    return io.Combo.Input(
        "measure", options=list(MEASURES), default=MASS, optional=True,
        tooltip="mass: the share of a spot's attention that goes to the word. flow: how much the word "
        "moves the spot. output: how alike the attention outputs of the spot and of the word are, "
        "compared with the prompt's other words (ConceptAttention). through T5: as mass, with each row "
        "counted for the words that T5 put into it. causal: how much the spot's velocity changes when the "
        "word is left out. through T5 x causal: both multiplied, which points best. The last three need "
        "`clip`.",
    )  # fmt: skip


def _likeness_input():
    """What `refine` of Show Heatmap needs."""
    return io.Boolean.Input(
        "likeness", default=False, label_on="recorded", label_off="not recorded", optional=True, advanced=True,
        tooltip="Also record how alike the places of the picture are, which `refine` of Show Heatmap needs: 34 MB for "
        "a picture of 1024 x 1024.",
    )  # fmt: skip


def _without_inputs():
    """For the measures that encode the prompt again without a word."""
    return [
        io.Clip.Input(
            "clip", optional=True,
            tooltip="For through T5 and causal, which encode the prompt again without each word: the CLIP that T5 "
            "Encode has.",
        ),
        io.String.Input(
            "at", default=AT, optional=True, advanced=True,
            tooltip="For causal: levels of noise (sigma, from 1 to 0) to measure at; the run's nearest steps are "
            "taken. Each costs an evaluation of the model for each word.",
        ),
        io.Int.Input(
            "noises", default=1, min=1, max=16, optional=True, advanced=True,
            tooltip="For causal: the mean over this many noises, the run's own and others at the same levels.",
        ),
    ]  # fmt: skip


class Heatmap(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetHeatmap",
            display_name=TITLE,
            category=CATEGORY,
            description="Records where in the picture each word of the T5 prompt acts, while the picture is sampled. "
            "The picture stays the same to the last bit. Show Heatmap draws the record.",
            search_aliases=["attention", "attention map", "daam", "which word", "token", "cross attention", "explain"],
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with LoRAs and all; goes on to the sampler."),
                FluxTxt.Input("txt", tooltip="The T5 prompt that is sampled: its words get the maps."),
                io.String.Input(
                    "words", default="", multiline=True,
                    tooltip="Words or phrases of the prompt, separated by commas or lines; a phrase gets one map. "
                    "Empty: every word.",
                ),
                _measure_input(),
                io.Int.Input(
                    "every", default=1, min=1, max=1000, optional=True, advanced=True,
                    tooltip="Record every n-th step only.",
                ),
                io.Boolean.Input(
                    "heads", default=False, label_on="apart", label_off="averaged", optional=True, advanced=True,
                    tooltip="apart: keep each attention head's maps, to look at one alone. FLUX.1 has "
                    f"{HEADS} heads, so the maps take {HEADS} times the memory: choose few words, or every n-th step.",
                ),
                *_without_inputs(),
                _likeness_input(),
            ],
            outputs=[
                io.Model.Output(tooltip="The same model, for the sampler."),
                FluxHeatmap.Output("heatmap", display_name="heatmap", tooltip="For Show Heatmap."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, model, txt, words="", measure=MASS, every=1, heads=False, clip=None, at=AT, noises=1, likeness=False
    ) -> io.NodeOutput:
        from .watching import watched

        options = {"clip": clip, "at": at, "noises": noises, "likeness": likeness}
        return io.NodeOutput(*watched(model, txt, words, measure, every, heads, TITLE, **options))


class ConceptHeatmap(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetConcepts",
            display_name="Concept Heatmap",
            category=CATEGORY,
            description="Records where in the picture each concept is (ConceptAttention), whether or not the prompt "
            "names it, while the picture is sampled. The picture stays the same to the last bit. Show Heatmap draws "
            "the record.",
            search_aliases=["conceptattention", "segment by word", "saliency", "attention map", "mask from word"],
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with LoRAs and all; goes on to the sampler."),
                io.Clip.Input("clip", tooltip="Any CLIP that holds T5: it encodes each concept by itself."),
                io.String.Input(
                    "words", default="", multiline=True,
                    tooltip="Concepts that get a map, separated by commas or lines, best one word each, without an "
                    "article. The prompt need not contain them.",
                ),
                io.String.Input(
                    "background", default=BACKGROUND, optional=True,
                    tooltip="Concepts that the words are compared with and that get no map: what else may be in the "
                    "picture.",
                ),
                io.String.Input(
                    "blocks", default="", optional=True, advanced=True,
                    tooltip="Double blocks to record: numbers, ranges (5-18), double. Empty: 14-17, as published; all "
                    "double blocks of a model smaller than FLUX.1.",
                ),
                io.Int.Input(
                    "every", default=1, min=1, max=1000, optional=True, advanced=True,
                    tooltip="Record every n-th step only.",
                ),
                _likeness_input(),
            ],
            outputs=[
                io.Model.Output(tooltip="The same model, for the sampler."),
                FluxHeatmap.Output("heatmap", display_name="heatmap", tooltip="For Show Heatmap."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model, clip, words="", background=BACKGROUND, blocks="", every=1, likeness=False) -> io.NodeOutput:
        from .concepts import watched_concepts

        return io.NodeOutput(*watched_concepts(model, clip, words, background, blocks, every, likeness))


def _mean_inputs():
    """Which steps and blocks the maps are the mean of."""
    return [
        io.Int.Input("first_step", default=0, min=0, max=10000, optional=True, tooltip="The maps are the "
        "mean from this step on, counted from 0."),
        io.Int.Input("last_step", default=10000, min=0, max=10000, optional=True, tooltip="The maps are the "
        "mean up to this step."),
        io.String.Input(
            "blocks", default="all", optional=True,
            tooltip="Which blocks, counted from 0: numbers, ranges (5-18), double, single, all. ConceptAttention uses "
            "FLUX.1's double blocks 14-17.",
        ),
    ]  # fmt: skip


class ShowHeatmap(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetHeatmapShow",
            display_name="Show Heatmap",
            category=CATEGORY,
            description="Draws what Token Heatmap has recorded, for the steps and blocks that you choose, without "
            "sampling again; and gives each word's map as a mask.",
            search_aliases=["attention map", "heatmap", "mask from word", "segment by prompt"],
            is_output_node=True,
            inputs=[
                FluxHeatmap.Input("heatmap", tooltip="From Token Heatmap or Concept Heatmap."),
                io.Latent.Input("latent", tooltip="The sampler's LATENT: it identifies the run."),
                io.Image.Input("image", optional=True, tooltip="The decoded picture, to draw the maps over."),
                *_mean_inputs(),
                masks_input(),
                io.String.Input(
                    "save_as", default="", optional=True, advanced=True,
                    tooltip="Also write the raw maps to the output folder, as NAME.safetensors.",
                ),
                word_input(),
                io.Int.Input(
                    "head", default=ALL_HEADS, min=ALL_HEADS, max=999, optional=True, advanced=True,
                    tooltip="One attention head alone, if Token Heatmap has kept them apart; -1 is all of them.",
                ),
                io.Combo.Input(
                    "refine", options=[OFF, SPREAD], default=OFF, optional=True,
                    tooltip="spread: from the map's peak to all places that are like it (after AnchorDiff). The "
                    "probe's `likeness` has to be recorded.",
                ),
            ],
            outputs=heatmap_outputs(),
        )  # fmt: skip

    @classmethod
    def execute(
        cls, heatmap, latent, image=None, first_step=0, last_step=10000, blocks="all", masks=SOFT, save_as="", word="",
        head=ALL_HEADS, refine=OFF,
    ) -> io.NodeOutput:  # fmt: skip
        from . import showing
        from .reading import Choice

        reading, settings = heatmap.run(latent)
        number = showing.number_of(word, reading.words)
        choice = Choice(first_step, last_step, Blocks.parse(blocks), None if head == ALL_HEADS else head)
        pictures = showing.pictures_of(image, reading.pictures)
        found = showing.maps_of(reading, choice, refine)
        size = tuple(pictures.shape[1:3]) if pictures is not None else tuple(TOKEN * side for side in reading.size)
        out = showing.shown(reading, choice, found, settings, pictures, masks, size, cls)
        if save_as.strip():
            showing.save(reading, save_as.strip(), settings)
        return io.NodeOutput(*out.outputs(number), ui=out.ui)


NODES = [Heatmap, ConceptHeatmap, ShowHeatmap]
