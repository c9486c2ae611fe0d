"""The nodes that show where each word acts. Imports ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import folder_paths
import numpy as np
import safetensors.torch
import torch
from comfy_api.latest import io, ui

from ...compat import guiders
from ...compat.flux_model import transformer_of
from ...condition.blocks import Blocks
from ...disk.atomic import write_whole
from ...disk.given_file import is_inside
from ...disk.temporary import temporary_folder
from ...family import require_flux1
from ...flux1_sizes import HEADS, TOKEN
from ...notice import warn
from ...pictures import as_image
from ...sockets import FluxHeatmap, FluxTxt
from ..hooks import probed
from ..percent import percent
from ..reading_store import ReadingStore
from ..repainted import repainted_sentence
from .memory import check_room, planned
from .overlay import HeatPanel, sheet
from .reading import ALL, ALL_HEADS, FLOW, MASS, OUTPUT, Choice, HeatReading, counts, maps, masks, masses, otsu
from .recorder import KEY, HeatRecorder
from .stored import NoRoom, store
from .tokens import wanted

CATEGORY = "Flux Duet/probe"
TITLE = "Token Heatmap"
SOFT, HARD = "soft", "hard"


class Heatmap(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetHeatmap",
            display_name=TITLE,
            category=CATEGORY,
            description="Records where in the picture each word of the T5 prompt acts, while the picture is sampled. "
            "The picture stays the same to the last bit. Show Heatmap draws the record.",
            search_aliases=["attention map", "daam", "which word", "token", "cross attention", "explain"],
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with LoRAs and all; goes on to the sampler."),
                FluxTxt.Input("txt", tooltip="The T5 prompt that is sampled: its words get the maps."),
                io.String.Input(
                    "words", default="", multiline=True,
                    tooltip="Words or phrases of the prompt, separated by commas or lines; a phrase gets one map. "
                    "Empty: every word.",
                ),
                io.Combo.Input(
                    "measure", options=[MASS, FLOW, OUTPUT], default=MASS, optional=True,
                    tooltip="mass: the share of a spot's attention that goes to the word. flow: how much the word "
                    "moves the spot. output: how alike the attention outputs of the spot and of the word are, "
                    "compared with the prompt's other words (ConceptAttention).",
                ),
                io.Int.Input(
                    "every", default=1, min=1, max=1000, optional=True, advanced=True,
                    tooltip="Record every n-th step only.",
                ),
                io.Boolean.Input(
                    "heads", default=False, label_on="apart", label_off="averaged", optional=True, advanced=True,
                    tooltip="apart: keep each attention head's maps, to look at one alone. FLUX.1 has "
                    f"{HEADS} heads, so the maps take {HEADS} times the memory: choose few words, or every n-th step.",
                ),
            ],
            outputs=[
                io.Model.Output(tooltip="The same model, for the sampler."),
                FluxHeatmap.Output("heatmap", display_name="heatmap", tooltip="For Show Heatmap."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model, txt, words="", measure=MASS, every=1, heads=False) -> io.NodeOutput:
        require_flux1(model, TITLE)
        found, probe = wanted(txt, words), ReadingStore(TITLE)

        def check(guider, sigmas, shape):
            flux = transformer_of(guiders.model_of(guider))
            check_room(planned(flux, len(found.words), every, heads, len(sigmas) - 1, shape), probe.room())

        def begin(guider, sigmas, repainted):
            return HeatRecorder(found, measure, every, sigmas, guider, heads, repainted)

        return io.NodeOutput(probed(model, probe, KEY, begin, check), probe)


def _mean_inputs():
    """Which steps and blocks the maps are the mean of."""
    return [
        io.Int.Input("first_step", default=0, min=0, max=10000, optional=True, tooltip="The maps are the "
        "mean from this step on, counted from 0."),
        io.Int.Input("last_step", default=10000, min=0, max=10000, optional=True, tooltip="The maps are the "
        "mean up to this step."),
        io.String.Input(
            "blocks", default="all", optional=True,
            tooltip="Which blocks: numbers, ranges (5-18), double, single, all. The literature uses FLUX.1's "
            "double blocks 15-18.",
        ),
    ]  # fmt: skip


def _heatmap_outputs():
    """What Show Heatmap draws, and the maps as masks and numbers."""
    return [
        io.Image.Output(
            "picture", display_name="picture", tooltip="A tile for each word; a sheet for each picture of a "
            "batch.",
        ),
        io.Mask.Output(
            "masks_out", display_name="masks",
            tooltip="One for each word, in the order of `words`; of a batch, all of the first picture's, then "
            "all of the second's.",
        ),
        io.String.Output("words_out", display_name="words", tooltip="The words, one a line."),
        io.String.Output("json", display_name="json", tooltip="Shares of words, pads and the rest; settings."),
        io.Mask.Output("mask_out", display_name="mask", tooltip="That of `word` alone, one for each picture."),
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
                FluxHeatmap.Input("heatmap", tooltip="From Token Heatmap."),
                io.Latent.Input("latent", tooltip="The sampler's LATENT: it identifies the run."),
                io.Image.Input("image", optional=True, tooltip="The decoded picture, to draw the maps over."),
                *_mean_inputs(),
                io.Combo.Input(
                    "masks", options=[SOFT, HARD], default=SOFT, optional=True,
                    tooltip="soft: from 0 where the word has least to 1 where it has most. hard: 0 or 1, by Otsu's "
                    "threshold.",
                ),
                io.String.Input(
                    "save_as", default="", optional=True, advanced=True,
                    tooltip="Also write the raw maps to the output folder, as NAME.safetensors.",
                ),
                io.String.Input(
                    "word", default="", optional=True,
                    tooltip="The word whose map is the output `mask`; click a word below to choose it. Empty: the "
                    "first word.",
                ),
                io.Int.Input(
                    "head", default=ALL_HEADS, min=ALL_HEADS, max=999, optional=True, advanced=True,
                    tooltip="One attention head alone, if Token Heatmap has kept them apart; -1 is all of them.",
                ),
            ],
            outputs=_heatmap_outputs(),
        )  # fmt: skip

    @classmethod
    def execute(
        cls, heatmap, latent, image=None, first_step=0, last_step=10000, blocks="all", masks=SOFT, save_as="", word="",
        head=ALL_HEADS,
    ) -> io.NodeOutput:  # fmt: skip
        reading, settings = heatmap.run(latent)
        number = number_of(word, reading.words)
        choice = Choice(first_step, last_step, Blocks.parse(blocks), None if head == ALL_HEADS else head)
        pictures = pictures_of(image, reading.pictures)
        found = maps(reading, choice)
        pages = [drawn(reading, choice, each, None if pictures is None else pictures[at].cpu().numpy(), at)
                 for at, each in enumerate(found)]  # fmt: skip
        data = json.dumps({**metadata_of(reading, choice), "settings": settings}, indent=1)
        if save_as.strip():
            save(reading, save_as.strip(), settings)
        size = tuple(pictures.shape[1:3]) if pictures is not None else tuple(TOKEN * side for side in reading.size)
        given = as_masks(found, masks, size, counts(reading, choice))  # [B, words, H, W]
        sheets = as_image(pages)
        shown = {**ui.PreviewImage(sheets, cls=cls).as_dict(), **for_the_front_end(reading, pictures, cls)}
        names = "\n".join(reading.words)
        return io.NodeOutput(sheets, given.flatten(0, 1), names, data, given[:, number], ui=shown)


def pictures_of(image: torch.Tensor | None, count: int) -> torch.Tensor | None:
    """The pictures [B, H, W, 3] to draw the maps over. Raises ValueError if they are not as many as the LATENT has."""
    if image is None or count == 1:
        return None if image is None else image[:1]
    if len(image) != count:
        raise ValueError(
            f"Show Heatmap: got {len(image)} pictures for a LATENT of {count}. Connect VAE Decode of that LATENT."
        )
    return image


def number_of(word: str, words: Sequence[str]) -> int:
    """The index of a word in `words`, ignoring case; 0 for "". Raises ValueError for a word that was not watched."""
    name = word.strip().lower()
    if not name:
        return 0
    for number, each in enumerate(words):
        if each.lower() == name:
            return number
    raise ValueError(f"Show Heatmap: `word` is {word.strip()!r}, expected one of those recorded: {', '.join(words)}.")


def for_the_front_end(reading: HeatReading, pictures: torch.Tensor | None, cls) -> dict:
    """The node's ui data: file names and the numbers with which js/heatmap.js requests the first picture's maps."""
    try:
        name = store(reading, temporary_folder())
    except NoRoom as error:  # the panel has no maps; the node's outputs are complete
        return warn(str(error))
    picture = None if pictures is None else ui.PreviewImage(pictures[:1], cls=cls).as_dict()["images"][0]
    return {
        "flux_duet_heatmap": [{
            "name": name, "picture": picture, "measure": reading.measure, "pictures": reading.pictures,
            "words": reading.words, "steps": reading.numbers, "sigmas": [round(each, 4) for each in reading.sigmas],
            "blocks": reading.blocks, "double": reading.double, "size": reading.size, "heads": reading.heads,
        }]
    }  # fmt: skip


def drawn(reading: HeatReading, choice: Choice, found: torch.Tensor, picture: np.ndarray | None, at: int = 0):
    """The sheet of picture number `at` of the batch. `found` [words, h, w] are its maps."""
    shares = masses(reading, choice, at)
    counted = counts(reading, choice)
    tiles = masks(found[None], None if counted is None else counted[at : at + 1])[0]
    panels = [HeatPanel(word, each.numpy(), shares[word]) for word, each in zip(reading.words, tiles, strict=True)]
    took = ", ".join(f"{name} {percent(shares[name])}" for name in list(shares)[len(reading.words) :])
    below = f"{reading.measure}, steps {reading.numbers[0]} to {reading.numbers[-1]} recorded; of the attention {took}"
    which = f", picture {at + 1} of {reading.pictures}" if reading.pictures > 1 else ""
    where = repainted_sentence(None if reading.shares_repainted is None else [reading.shares_repainted[at]])
    return sheet(f"Where each word acts{which}", f"{where} {below}".strip(), picture, panels)


def as_masks(found: torch.Tensor, how: str, size: tuple[int, int], counted: torch.Tensor | None = None):
    """Maps [B, words, h, w] -> masks [B, words, H, W], 0 to 1, at the picture's size; 0 where `counted` is False."""
    values = masks(found, counted)
    values = otsu(values, counted).float() if how == HARD else values
    mode = {"mode": "nearest"} if how == HARD else {"mode": "bilinear", "align_corners": False}
    given = torch.nn.functional.interpolate(values, size, **mode).clamp(0, 1)
    return given if counted is None else given * torch.nn.functional.interpolate(counted[:, None].float(), size)


def metadata_of(reading: HeatReading, choice: Choice) -> dict:
    """Everything but the maps, for JSON: the shares of the choice, and the settings of the reading."""
    shares = masses(reading, choice)
    each = [masses(reading, choice, picture) for picture in range(reading.pictures)]
    return {
        "measure": reading.measure, "words": list(reading.words), "shares": shares, "image": 1 - shares[ALL],
        "steps": list(reading.numbers), "sigmas": list(reading.sigmas), "blocks": reading.blocks,
        "double_blocks": reading.double, "heads": reading.heads, "tokens": list(reading.size), "bytes": reading.bytes(),
        "prompt": reading.role, "acts": reading.acts, "repainted": reading.shares_repainted,
        "pictures": [{"shares": own, "image": 1 - own[ALL]} for own in each],
    }  # fmt: skip


def save(reading: HeatReading, name: str, settings: Mapping | None = None) -> Path:
    """Writes all maps to one file. Raises ValueError for a name that leads out of the output folder."""
    folder = Path(folder_paths.get_output_directory())
    path = folder / f"{name.removesuffix('.safetensors')}.safetensors"
    if not is_inside(folder, path):
        raise ValueError(f"Show Heatmap: {name!r} leads out of the output folder; give a plain name.")
    metadata = {key: json.dumps(value) for key, value in metadata_of(reading, Choice()).items()}
    metadata["settings"] = json.dumps(settings)
    tensors = {"maps": reading.maps.contiguous(), "groups": reading.groups.contiguous()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, safetensors.torch.save(tensors, metadata))
    return path


NODES = [Heatmap, ShowHeatmap]
