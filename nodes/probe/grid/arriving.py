"""A page of rough previews that fills while cells arrive from workers. Imports ComfyUI."""

from __future__ import annotations

import math

from PIL import Image
from torch import Tensor

from ...compat.previews import progress_bar, rough_pictures
from ...theme import colours

WIDEST = 960  # pixels of the page's longer side
GAP = 2


class Arriving:
    """The running node's progress bar, with the page as its preview. Each update checks for an interruption."""

    def __init__(self, count: int, columns: int):
        self.bar, self.count, self.columns, self.done = progress_bar(count), count, columns, 0
        self.page: Image.Image | None = None

    def add(self, number: int, model, latent: Tensor) -> None:
        """Shows the cell `number`, a latent [1, C, h, w]."""
        self.done += 1
        if rough := rough_pictures(model, latent[:1]):
            self._paste(number, rough[0])
        shown = None if self.page is None else ("JPEG", self.page, WIDEST)
        self.bar.update_absolute(self.done, self.count, shown)

    def _paste(self, number: int, picture: Image.Image) -> None:
        rows = math.ceil(self.count / self.columns)
        room = max(4, min(WIDEST // self.columns, WIDEST // rows) - GAP)
        share = room / max(picture.size)
        size = max(1, round(picture.width * share)), max(1, round(picture.height * share))
        if self.page is None:
            self.page = Image.new("RGB", ((size[0] + GAP) * self.columns, (size[1] + GAP) * rows), colours().paper)
        row, column = divmod(number, self.columns)
        self.page.paste(picture.convert("RGB").resize(size), ((size[0] + GAP) * column, (size[1] + GAP) * row))
