"""Fits a picture of any size to whole image tokens, and its maps back to the picture. Pure torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import interpolate, pad

from ...flux1_sizes import TOKEN

MEGAPIXEL = 1024 * 1024  # as ComfyUI's nodes count


@dataclass(frozen=True)
class Fit:
    """`size` (height, width) of a picture, and `seen`, the size at which the model sees it before it is filled up."""

    size: tuple[int, int]
    seen: tuple[int, int]

    @classmethod
    def of(cls, size: tuple[int, int], megapixels: float) -> Fit:
        """A picture larger than `megapixels` is scaled down to that; 0 is no limit."""
        height, width = size
        share = math.sqrt(megapixels * MEGAPIXEL / (height * width)) if megapixels else 1.0
        if share >= 1:
            return cls(size, size)
        return cls(size, (max(1, round(height * share)), max(1, round(width * share))))

    @property
    def filled(self) -> tuple[int, int]:
        """`seen`, filled up to whole tokens at the right and at the bottom."""
        height, width = (math.ceil(side / TOKEN) * TOKEN for side in self.seen)
        return height, width

    @property
    def whole(self) -> tuple[int, int]:
        """`filled` at the scale of the picture: the size of a map of which the picture is the upper left part."""
        pairs = zip(self.filled, self.seen, self.size, strict=True)
        height, width = (round(filled * size / seen) for filled, seen, size in pairs)
        return height, width

    def put(self, image: Tensor) -> Tensor:
        """IMAGE [B, H, W, C] -> [B, *filled, 3]: scaled down, and filled up by repeating its edges."""
        picture = image[..., :3].movedim(-1, 1)
        if self.seen != self.size:
            picture = interpolate(picture, self.seen, mode="bilinear", antialias=True, align_corners=False)
        below, right = (filled - seen for filled, seen in zip(self.filled, self.seen, strict=True))
        return pad(picture, (0, right, 0, below), mode="replicate").movedim(1, -1)

    def cut(self, masks: Tensor) -> Tensor:
        """[..., *whole] -> [..., *size]."""
        height, width = self.size
        return masks[..., :height, :width]
