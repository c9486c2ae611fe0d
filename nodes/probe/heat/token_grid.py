"""Maps of a part of the picture, put where that part is. Pure torch.

An entry with an area is evaluated on a crop, whose tokens are 2 x 2 of the crop's latent pixels: with an odd corner
they lie across the picture's own. So a map goes by way of pixels: each shows what its token in the crop has, weighted
by how much of the picture there is the entry's (its mask, its strength, other entries), and each of the picture's
tokens has the mean of its pixels.

Under a noise_mask a map is what it is without; means over it are of the repainted pixels, each weighed by the mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..entries import Place


@dataclass(frozen=True, eq=False)
class Grid:
    """How one forward's tokens lie in the picture. `latent` is the whole's (height, width), in pixels.

    `repainted` [B, h, w] is the mask there, from 0 (kept) to 1; None for a run without one.
    """

    latent: tuple[int, int]
    patch: int
    place: Place
    repainted: Tensor | None = None

    @property
    def area(self) -> tuple[int, int, int, int]:
        return self.place.area or (*self.latent, 0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) of the forward's own tokens."""
        return self._up(self.area[0]), self._up(self.area[1])

    @property
    def whole(self) -> tuple[int, int]:
        """(rows, columns) of the picture's tokens."""
        return self._up(self.latent[0]), self._up(self.latent[1])

    @property
    def tokens(self) -> int:
        return self.size[0] * self.size[1]

    def _up(self, side: int) -> int:
        return -(-side // self.patch)

    @property
    def is_whole(self) -> bool:
        return self.place.area is None and self.place.weight is None

    def pixels(self, count: int) -> Tensor:
        """[B, h, w]: how much of each pixel of the forward's part is its own."""
        height, width, top, left = self.area
        if self.place.weight is None:
            return torch.ones(count, height, width)
        weight = self.place.weight[:, top : top + height, left : left + width].float()
        return weight if len(weight) == count else weight[:1].expand(count, -1, -1)

    def counted(self, count: int) -> Tensor:
        """[B, h, w]: how much of each pixel of the forward's part is its own and repainted."""
        own = self.pixels(count)
        if self.repainted is None:
            return own
        height, width, top, left = self.area
        return own * self.repainted[:, top : top + height, left : left + width].to(own)

    def weights(self, count: int) -> Tensor:
        """[B, tokens]: each of the forward's tokens' part of what counts of it in the picture, adding up to 1.

        Of what it has in the picture, where nothing of that is repainted.
        """
        if self.is_whole and self.repainted is None:
            return torch.full((count, self.tokens), 1 / self.tokens)
        pixels = self.counted(count)
        pixels = torch.where(pixels.sum((1, 2), keepdim=True) > 0, pixels, self.pixels(count).to(pixels))
        own = self._sums(pixels, self.size).flatten(1)
        return own / own.sum(1, keepdim=True).clamp_min(1e-12)

    def counts(self, count: int) -> Tensor:
        """[B]: how much of the picture counts for this forward's means."""
        return self.acts(count) if self.repainted is None else self._part(self.counted(count))

    def repainted_tokens(self, count: int) -> Tensor | None:
        """[B, tokens of the picture]: how much of each is repainted; None without a mask."""
        if self.repainted is None:
            return None
        inside = self._sums(torch.ones(1, *self.latent), self.whole)
        return (self._sums(self.repainted.cpu(), self.whole) / inside).flatten(1).expand(count, -1)

    def _sums(self, pixels: Tensor, size: tuple[int, int]) -> Tensor:
        """[B, h, w] -> [B, rows, columns]: the sum over each token's pixels."""
        rows, columns = size
        height, width = pixels.shape[1:]
        short = (0, columns * self.patch - width, 0, rows * self.patch - height)
        return pad(pixels, short).unflatten(1, (rows, -1)).unflatten(3, (columns, -1)).sum((2, 4))

    def _part(self, pixels: Tensor) -> Tensor:
        return (pixels.sum((1, 2)) / (self.latent[0] * self.latent[1])).cpu()

    def acts(self, count: int) -> Tensor:
        """[B]: how much of the picture is this forward's."""
        if self.is_whole:
            return torch.ones(count)
        return self._part(self.pixels(count))

    def spread(self, maps: Tensor) -> Tensor:
        """maps [blocks, heads, B, words, tokens] of the part -> [.., tokens] of the whole picture, zero elsewhere."""
        if self.is_whole:
            return maps
        pixels = self.pixels(maps.shape[2])[:, None].to(maps.device)  # [B, 1, h, w]
        return torch.stack([self._spread(each, pixels) for each in maps])  # a block at a time

    def _spread(self, maps: Tensor, pixels: Tensor) -> Tensor:
        height, width, top, left = self.area
        wide = maps.unflatten(-1, self.size)
        for axis in (-2, -1):
            wide = wide.repeat_interleave(self.patch, axis)
        wide = wide[..., :height, :width] * pixels
        rows, columns = self.whole
        below, right = rows * self.patch - top - height, columns * self.patch - left - width
        wide = pad(wide, (left, right, top, below)).unflatten(-2, (rows, -1)).unflatten(-1, (columns, -1))
        inside = pad(torch.ones(self.latent), (0, columns * self.patch - self.latent[1],
                                               0, rows * self.patch - self.latent[0]))  # fmt: skip
        count = inside.unflatten(0, (rows, -1)).unflatten(2, (columns, -1)).sum((1, 3)).to(wide.device)
        return (wide.sum((-3, -1)) / count).flatten(-2)
