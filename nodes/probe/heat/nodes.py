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
        tooltip="mass: attention on the word. flow: how much the word adds. output: similarity of attention outputs. "
        "through T5: mass, corrected for words that T5 mixes. causal: change when the word is removed. through T5 x "
        "causal: both; points best. The last three need `clip`.",
    )  # fmt: skip


def _likeness_input():
    """What `refine` of Show Heatmap needs."""
    return io.Boolean.Input(
        "likeness", display_name="record similarity", default=False, label_on="recorded", label_off="not recorded",
        optional=True, advanced=True,
        tooltip="Also record how similar the areas of the picture are. Needed for `refine` in Show Heatmap. Takes 34 "
        "MB for a picture of 1024 x 1024.",
    )  # fmt: skip


def _without_inputs():
    """For the measures that encode the prompt again without a word."""
    return [
        io.Clip.Input(
            "clip", optional=True,
            tooltip="Needed for through T5, causal and through T5 x causal, which encode the prompt again without each "
            "word. Connect the CLIP that T5 Encode uses.",
        ),
        io.String.Input(
            "at", display_name="noise levels (sigma)", default=AT, optional=True, advanced=True,
            tooltip="For causal and through T5 x causal: noise levels (sigma, from 1 to 0) to measure at. The nearest "
            "steps of the run are used. Each level costs one evaluation of the model per word.",
        ),
        io.Int.Input(
            "noises", default=1, min=1, max=16, optional=True, advanced=True,
            tooltip="For causal and through T5 x causal: average over this many noises at the same levels. Higher "
            "values give cleaner maps and take longer.",
        ),
    ]  # fmt: skip


class Heatmap(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetHeatmap",
            display_name=TITLE,
            category=CATEGORY,
            description="Records where each word of the T5 prompt acts in the picture while it is sampled. Show "
            "Heatmap draws the maps. The picture stays exactly the same.",
            search_aliases=["attention", "attention map", "daam", "which word", "token", "cross attention", "explain"],
            inputs=[
                io.Model.Input("model",
                               tooltip="A FLUX.1 model, with its LoRAs. Connect the MODEL output to the sampler."),
                FluxTxt.Input("txt", tooltip="The same T5 prompt that goes to Dual Prompt. Its words get the maps."),
                io.String.Input(
                    "words", default="", multiline=True,
                    tooltip="Words or phrases of the prompt that get a map, separated by commas or line breaks. A "
                    "phrase gets one map. Empty: every word.",
                ),
                _measure_input(),
                io.Int.Input(
                    "every", display_name="record every n steps", default=1, min=1, max=1000, optional=True,
                    advanced=True,
                    tooltip="1 records every step. Higher values take less memory and time.",
                ),
                io.Boolean.Input(
                    "heads", default=False, label_on="apart", label_off="averaged", optional=True, advanced=True,
                    tooltip="apart: keep a map for each attention head, to view one head in Show Heatmap. FLUX.1 has "
                    f"{HEADS} heads, so the maps take {HEADS} times the memory: name few words or record fewer steps.",
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
            description="Records where each concept is in the picture while it is sampled (ConceptAttention). The "
            "prompt need not name the concepts. Show Heatmap draws the maps. The picture stays exactly the same.",
            search_aliases=["conceptattention", "segment by word", "saliency", "attention map", "mask from word"],
            inputs=[
                io.Model.Input("model",
                               tooltip="A FLUX.1 model, with its LoRAs. Connect the MODEL output to the sampler."),
                io.Clip.Input("clip", tooltip="Any CLIP that holds T5. It encodes each concept separately."),
                io.String.Input(
                    "words", default="", multiline=True,
                    tooltip="Concepts to map, separated by commas or line breaks. Best: one word each, without an "
                    "article. The prompt need not contain them.",
                ),
                io.String.Input(
                    "background", default=BACKGROUND, optional=True,
                    tooltip="Concepts to compare the words with; they get no map. Name what else is in the picture to "
                    "get tighter maps.",
                ),
                io.String.Input(
                    "blocks", default="", optional=True, advanced=True,
                    tooltip="Double blocks to record: numbers, ranges (5-18), double. Empty: 14-17, as published, or "
                    "all double blocks of a model smaller than FLUX.1.",
                ),
                io.Int.Input(
                    "every", display_name="record every n steps", default=1, min=1, max=1000, optional=True,
                    advanced=True,
                    tooltip="1 records every step. Higher values take less memory and time.",
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
        io.Int.Input("first_step", display_name="first step", default=0, min=0, max=10000, optional=True,
                     tooltip="First step of the average, counted from 0."),
        io.Int.Input("last_step", display_name="last step", default=10000, min=0, max=10000, optional=True,
                     tooltip="Last step of the average. 10000, the default, means the last step of the run."),
        io.String.Input(
            "blocks", default="all", optional=True,
            tooltip="Blocks to average over, counted from 0: numbers, ranges (5-18), double, single, all. "
            "ConceptAttention uses FLUX.1's double blocks 14-17.",
        ),
    ]  # fmt: skip


class ShowHeatmap(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetHeatmapShow",
            display_name="Show Heatmap",
            category=CATEGORY,
            description="Draws the maps of Token Heatmap or Concept Heatmap for the steps and blocks that you choose, "
            "without sampling again. Outputs each word's map as a mask.",
            search_aliases=["attention map", "heatmap", "mask from word", "segment by prompt"],
            is_output_node=True,
            inputs=[
                FluxHeatmap.Input("heatmap", tooltip="From Token Heatmap or Concept Heatmap."),
                io.Latent.Input("latent", tooltip="The LATENT output of the sampler. It identifies the run."),
                io.Image.Input("image", optional=True, tooltip="The decoded picture, to draw the maps over."),
                *_mean_inputs(),
                masks_input(),
                io.String.Input(
                    "save_as", default="", optional=True, advanced=True,
                    tooltip="Also write the raw maps to the output folder, as NAME.safetensors.",
                ),
                word_input(),
                io.Int.Input(
                    "head", display_name="attention head", default=ALL_HEADS, min=ALL_HEADS, max=999, optional=True,
                    advanced=True,
                    tooltip="Attention head to show, counted from 0. -1 = mean of all heads. A single head needs "
                    "`heads` set to apart in Token Heatmap.",
                ),
                io.Combo.Input(
                    "refine", options=[OFF, SPREAD], default=OFF, optional=True,
                    tooltip="spread: extend the map from its peak to all similar areas (after AnchorDiff). Needs "
                    "`record similarity` in Token Heatmap or Concept Heatmap.",
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
