"""What Prompt Grid does before and after its cells: encodes, decodes, lays out. Imports ComfyUI."""

from __future__ import annotations

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
from ...pictures import as_image
from ...streams import ClipVec, T5Text
from ..plots import sheets
from ..plots.temporary_file import temporary
from .choices import MEAN, NAME
from .summary import legend
from .variance import Analysis


def extras(model: ModelPatcher, like: list | None) -> dict:
    """The extras of `like`, for every cell. Raises ValueError if the model is not FLUX.1 or needs other extras."""
    require_flux1(model, NAME, wrapped=True)
    found = extras_of(like, NAME)
    require_picture(model, found, NAME)
    return found


def encoded(
    clip: CLIP, t5: CLIP, rows: list[str], columns: list[str], past_75: str, length: str, weights: str, extras: dict
) -> tuple[list[ClipVec], list[T5Text], list[str]]:
    """(vecs, txts, notes): each prompt encoded once, T5's with `extras`, and messages about text that is not read."""
    vecs, txts, notes = [], [], []
    for text in rows:
        vec, messages = encode_clip_prompt(clip, text, past_75)
        vecs.append(vec)
        notes += messages
    for text in columns:
        txt, cut = encode_t5(t5, text, length, weights)
        txts.append(with_extras(txt, extras, MERGES, NAME))
        notes += t5_notes(t5, txt, cut)
    return vecs, txts, notes


def decoded(vae, latents: Tensor) -> Tensor:
    """latents [S, N, M, ...] -> pixels [S, N, M, H, W, 3], decoded one at a time and reduced to a sheet's size."""
    found = []
    for latent in latents.flatten(0, 2):
        pixels = decode(vae, {SAMPLES: latent[None]})[0][0]
        share = sheets.LONGEST / max(pixels.shape[:2])
        if share < 1:
            size = [max(1, round(side * share)) for side in pixels.shape[:2]]
            pixels = torch.nn.functional.interpolate(pixels.movedim(-1, 0)[None], size, mode="area")[0].movedim(0, -1)
        found.append(pixels)
    grid = torch.stack(found)
    return grid.reshape(*latents.shape[:3], *grid.shape[1:])


def sheet(pictures: Tensor, rows: list[str], columns: list[str], seeds: list[int], kind: str) -> Tensor:
    """An IMAGE: a page for each seed, or one for all."""
    if kind == MEAN and len(seeds) > 1:
        shown = [(f"Mean of seeds {seeds[0]} to {seeds[-1]}", pictures.mean(0))]
    else:
        shown = [(f"Seed {seed}", each) for seed, each in zip(seeds, pictures, strict=True)]
    pages = []
    for title, grid in shown:
        small = [[sheets.picture(each) for each in row] for row in grid]
        pages.append(as_image(sheets.contact_sheet(title, small, rows, columns)))
    return torch.cat(pages)


def table(
    pictures: Tensor, analysis: Analysis, rows: list[str], columns: list[str], seeds: list[int], cls: type
) -> dict[str, Any]:
    """What js/grid.js shows: the numbers, and the cells' files."""
    cells = temporary([sheets.picture(each) for each in pictures.flatten(0, 2)], cls)
    return {**legend(analysis, rows, columns, seeds), "cells": cells}
