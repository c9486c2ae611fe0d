"""What Prompt Grid does before and after its cells: encodes, decodes, lays out. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...compat.patches import ModelPatcher
from ...compat.text_encoders import CLIP
from ...condition.extras import extras_of, with_extras
from ...condition.hooks import MERGES
from ...decode.decoding import decode
from ...encode.clip_prompt import encode_clip_prompt
from ...encode.encoding import encode_t5, t5_notes
from ...family import require_flux1, require_picture
from ...keys import SAMPLES
from ...lora.parts import CLIP_ENCODER, T5_ENCODER
from ...pictures import as_image
from ...streams import ClipVec, T5Text
from ..plots import sections, sheets
from ..plots.temporary_file import temporary
from .cells_made import Facts, machine_of
from .choices import MEAN, NAME, NONE
from .lora_lines import LoraLine
from .summary import legend
from .variance import Analysis, analyse
from .variants import Encoder, Variant, variants

ONE_LORA = (
    f"{NAME}: `loras` has one line, so the share of the LoRA is unknown. Add a line {NONE} to compare it with the "
    "pictures without it."
)


def extras(model: ModelPatcher, like: list | None) -> dict:
    """The extras of `like`, for every cell. Raises ValueError if the model is not FLUX.1 or needs other extras."""
    require_flux1(model, NAME, wrapped=True)
    found = extras_of(like, NAME)
    require_picture(model, found, NAME)
    return found


def encode_clip(rows: Sequence[str], past_75: str, clip: CLIP) -> tuple[list[ClipVec], list[str]]:
    """(vecs, messages about text that is not read): each prompt encoded once."""
    vecs, notes = [], []
    for text in rows:
        vec, messages = encode_clip_prompt(clip, text, past_75)
        vecs.append(vec)
        notes += messages
    return vecs, notes


def encode_texts(
    columns: Sequence[str], length: str, weights: str, extras: dict, t5: CLIP
) -> tuple[list[T5Text], list[str]]:
    """(txts with `extras`, messages about text that is not read): each prompt encoded once."""
    txts, notes = [], []
    for text in columns:
        txt, cut = encode_t5(t5, text, length, weights)
        txts.append(with_extras(txt, extras, MERGES, NAME))
        notes += t5_notes(t5, txt, cut)
    return txts, notes


def encoded(
    model: ModelPatcher, clip: CLIP, t5: CLIP, rows: list[str], columns: list[str], lines: list[LoraLine],
    past_75: str, length: str, weights: str, extras: dict,
) -> tuple[list[Variant], list[str]]:  # fmt: skip
    """(the MODEL and the encoded prompts of each line of `loras`, or one without lines; messages)."""
    found, notes = variants(
        model,
        Encoder(CLIP_ENCODER, clip, partial(encode_clip, rows, past_75)),
        Encoder(T5_ENCODER, t5, partial(encode_texts, columns, length, weights, extras)),
        lines,
    )
    for each in found:  # a control LoRA makes a model that reads a picture
        require_picture(each.model, extras, NAME)
    return found, notes + [ONE_LORA] * (len(lines) == 1)


def decoded(vae, latents: Tensor) -> Tensor:
    """latents [L, S, N, M, ...] -> pixels [L, S, N, M, H, W, 3], decoded one at a time, reduced to a sheet's size."""
    found = []
    for latent in latents.flatten(0, 3):
        pixels = decode(vae, {SAMPLES: latent[None]})[0][0]
        share = sheets.LONGEST / max(pixels.shape[:2])
        if share < 1:
            size = [max(1, round(side * share)) for side in pixels.shape[:2]]
            pixels = torch.nn.functional.interpolate(pixels.movedim(-1, 0)[None], size, mode="area")[0].movedim(0, -1)
        found.append(pixels)
    grid = torch.stack(found)
    return grid.reshape(*latents.shape[:4], *grid.shape[1:])


def analysed(latents: Tensor, pictures: Tensor, mask: Tensor | None) -> dict[str, Analysis]:
    """The analyses of latents and pixels [LoRAs, seeds, CLIP prompts, T5 prompts, ...]."""
    given = {"latents": latents, "pixels": pictures}
    if len(latents) == 1:
        return {name: analyse(cells[0], mask) for name, cells in given.items()}
    return {name: analyse(cells.movedim(0, 3), mask, axes=4) for name, cells in given.items()}


def sheet(
    pictures: Tensor, rows: list[str], columns: list[str], seeds: list[int], kind: str, loras: Sequence[str] = ()
) -> Tensor:
    """An IMAGE: a page for each seed, or one for all. Each has a section for each of `loras`, if there are any."""
    if kind == MEAN and len(seeds) > 1:
        shown = [(f"Mean of seeds {seeds[0]} to {seeds[-1]}", pictures.mean(1))]
    else:
        shown = [(f"Seed {seed}", pictures[:, number]) for number, seed in enumerate(seeds)]
    pages = []
    for title, grids in shown:
        small = [[[sheets.picture(each) for each in row] for row in grid] for grid in grids]
        if loras:
            pages.append(as_image(sections.contact_sheets(title, small, loras, rows, columns)))
        else:
            pages.append(as_image(sheets.contact_sheet(title, small[0], rows, columns)))
    return torch.cat(pages)


def table(
    pictures: Tensor, analysis: Analysis, rows: list[str], columns: list[str], seeds: list[int], cls: type,
    loras: Sequence[str] = (), made: Sequence[Facts | None] = (),
) -> dict[str, Any]:  # fmt: skip
    """What js/grid.js shows: the numbers, and the cells' files; `made` are the facts of the cells of workers."""
    cells = temporary([sheets.picture(each) for each in pictures.flatten(0, 3)], cls)
    axis = {"loras": list(loras)} if loras else {}
    machines = {"machines": [machine_of(each) for each in made]} if any(made) else {}
    return {**legend(analysis, rows, columns, seeds), **axis, **machines, "cells": cells}
