"""Several contact sheets on one page, one for each LoRA. Pure, on PIL."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from ...theme import colours
from . import sheets
from .charts import TITLE, font
from .sheets import MARGIN

HEAD = 16 + TITLE + 6  # the height of the page's title


def contact_sheets(
    title: str, grids: Sequence[Sequence[Sequence[Image.Image]]], names: Sequence[str], clip: Sequence[str],
    t5: Sequence[str],
) -> Image.Image:  # fmt: skip
    """A contact sheet under each name: beside each other where they are narrow, else one below another.

    `grids` are pictures [names][CLIP prompts][T5 prompts].
    """
    lines = max(sheets.title_lines(name, grid, t5) for name, grid in zip(names, grids, strict=True))
    each = [sheets.contact_sheet(name, grid, clip, t5, least=lines) for name, grid in zip(names, grids, strict=True)]
    body = _beside(each) if len(t5) < len(clip) else sheets.stack_vertically(each)
    page = Image.new("RGB", (body.width, HEAD + body.height), colours().paper)
    ImageDraw.Draw(page).text((MARGIN, 16), title, fill=colours().ink, font=font(TITLE))
    page.paste(body, (0, HEAD))
    return page


def _beside(pages: Sequence[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (sum(page.width for page in pages), max(page.height for page in pages)), colours().paper)
    x = 0
    for page in pages:
        whole.paste(page, (x, 0))
        x += page.width
    return whole
