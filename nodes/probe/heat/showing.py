"""A reading -> what Show Heatmap gives out: sheets, masks, JSON, files and the front end's part. Imports ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from comfy_api.latest import ui

from ...disk.atomic import write_tensors
from ...disk.given_file import is_inside
from ...disk.temporary import temporary_folder
from ...notice import warn
from ...pictures import as_image
from ..percent import percent
from ..repainted import repainted_sentence
from .choices import CAUSAL, CONCEPT, HARD, SPREAD
from .overlay import HeatPanel, sheet
from .reading import Choice, HeatReading, counts, maps, masks, masses, of_image, otsu
from .spread.spreading import refined
from .stored import NoRoom, store


@dataclass(frozen=True, eq=False)
class Shown:
    """What a node gives out of a reading: `sheets` IMAGE, `masks` [B, words, H, W], names, JSON, and the node's ui."""

    sheets: torch.Tensor
    masks: torch.Tensor
    names: str
    data: str
    ui: dict[str, Any]

    def outputs(self, number: int) -> tuple:
        """The values of shared.heatmap_outputs; word `number` has the output `mask`."""
        return self.sheets, self.masks.flatten(0, 1), self.names, self.data, self.masks[:, number]


def maps_of(reading: HeatReading, choice: Choice, refine: str) -> torch.Tensor:
    """[B, words, h, w]: the maps of the choice, refined by SPREAD or not. Raises ValueError as `maps` and `refined`."""
    found = maps(reading, choice)
    return refined(found, reading.likeness, counts(reading, choice)) if refine == SPREAD else found


def shown(
    reading: HeatReading, choice: Choice, found: torch.Tensor, settings: Mapping[str, Any],
    pictures: torch.Tensor | None, how: str, size: tuple[int, int], cls, recorded: str = "",
) -> Shown:  # fmt: skip
    """`found` [B, words, h, w] are the maps of the choice; `pictures` [B, H, W, 3] are drawn over, if there are any.

    The masks are of kind `how` and of `size`, `cls` is the node. `recorded` is what the maps are the mean of, in words;
    "" for the steps.
    """
    pages = [drawn(reading, choice, each, None if pictures is None else pictures[at].cpu().numpy(), at, recorded)
             for at, each in enumerate(found)]  # fmt: skip
    data = json.dumps({**metadata_of(reading, choice), "settings": settings}, indent=1)
    sheets = as_image(pages)
    shown = {**ui.PreviewImage(sheets, cls=cls).as_dict(), **for_the_front_end(reading, choice, pictures, cls)}
    given = as_masks(found, how, size, counts(reading, choice))
    return Shown(sheets, given, "\n".join(reading.words), data, shown)


def pictures_of(image: torch.Tensor | None, count: int) -> torch.Tensor | None:
    """The pictures [B, H, W, 3] to draw the maps over. Raises ValueError if they are not as many as the LATENT has."""
    if image is None or count == 1:
        return None if image is None else image[:1]
    if len(image) != count:
        raise ValueError(
            f"Show Heatmap: got {len(image)} pictures for a LATENT of {count}. Connect VAE Decode of that LATENT."
        )
    return image


def number_of(word: str, words: Sequence[str], node: str = "Show Heatmap") -> int:
    """The index of a word in `words`, ignoring case; 0 for "". Raises ValueError for a word that was not watched."""
    name = word.strip().lower()
    if not name:
        return 0
    for number, each in enumerate(words):
        if each.lower() == name:
            return number
    raise ValueError(f"{node}: `word` is {word.strip()!r}, expected one of those recorded: {', '.join(words)}.")


def for_the_front_end(reading: HeatReading, choice: Choice, pictures: torch.Tensor | None, cls) -> dict:
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
            "chosen": ", ".join(choice.blocks.words),
        }]
    }  # fmt: skip


def drawn(
    reading: HeatReading, choice: Choice, found: torch.Tensor, picture: np.ndarray | None, at: int = 0,
    recorded: str = "",
):  # fmt: skip
    """The sheet of picture number `at` of the batch. `found` [words, h, w] are its maps, the mean of `recorded`."""
    recorded = recorded or f"steps {reading.numbers[0]} to {reading.numbers[-1]} recorded"
    shares = masses(reading, choice, at)
    counted = counts(reading, choice)
    tiles = masks(found[None], None if counted is None else counted[at : at + 1])[0]
    panels = [HeatPanel(word, each.numpy(), shares[word]) for word, each in zip(reading.words, tiles, strict=True)]
    whole = {CONCEPT: "picture", CAUSAL: "velocity"}.get(reading.measure, "attention")
    took = ", ".join(f"{name} {percent(shares[name])}" for name in list(shares)[len(reading.words) :])
    below = f"{reading.measure}, {recorded}" + (f"; rest of the {whole}: {took}" if took else "")
    which = f", picture {at + 1} of {reading.pictures}" if reading.pictures > 1 else ""
    where = repainted_sentence(None if reading.shares_repainted is None else [reading.shares_repainted[at]])
    return sheet(f"Where each word acts{which}", f"{where} {below}".strip(), picture, panels, whole)


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
        "measure": reading.measure, "words": list(reading.words), "shares": shares, "image": of_image(shares),
        "steps": list(reading.numbers), "sigmas": list(reading.sigmas), "blocks": reading.blocks,
        "double_blocks": reading.double, "heads": reading.heads, "tokens": list(reading.size), "bytes": reading.bytes(),
        "prompt": reading.role, "acts": reading.acts, "repainted": reading.shares_repainted,
        "pictures": [{"shares": own, "image": of_image(own)} for own in each],
    }  # fmt: skip


def save(reading: HeatReading, name: str, settings: Mapping | None = None) -> Path:
    """Writes all maps to one file. Raises ValueError for a name that leads out of the output folder."""
    folder = Path(folder_paths.get_output_directory())
    path = folder / f"{name.removesuffix('.safetensors')}.safetensors"
    if not is_inside(folder, path):
        raise ValueError(f"Show Heatmap: {name!r} is outside the output folder; use a plain name.")
    metadata = {key: json.dumps(value) for key, value in metadata_of(reading, Choice()).items()}
    metadata["settings"] = json.dumps(settings)
    tensors = {"maps": reading.maps.contiguous(), "groups": reading.groups.contiguous()}
    write_tensors(path, tensors, metadata)
    return path
