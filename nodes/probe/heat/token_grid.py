"""Places the maps of a crop in the whole picture. Pure torch.

An entry with an area is evaluated on a crop of the latent. Tokens are 2 x 2 latent pixels, so with an odd corner the
crop's tokens do not align with the picture's. A map is therefore resampled by pixels: each pixel has the value of its
token in the crop, times the entry's weight there (its mask, its strength, other entries), and each of the picture's
tokens has the mean of its pixels.

A noise_mask does not change a map; means over a map are over the repainted pixels, weighted by the mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..entries import Place


@dataclass(frozen=True, eq=False)
class Grid:
    """The position of one forward's tokens in the picture. `latent` is the whole latent's (height, width) in pixels.

    `repainted` [B, h, w] is the mask of the whole latent, from 0 (kept) to 1; None for a run without one.
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
        """[B, h, w]: the entry's weight at each pixel of the crop."""
        height, width, top, left = self.area
        if self.place.weight is None:
            return torch.ones(count, height, width)
        weight = self.place.weight[:, top : top + height, left : left + width].float()
        return weight if len(weight) == count else weight[:1].expand(count, -1, -1)

    def counted(self, count: int) -> Tensor:
        """[B, h, w]: the entry's weight at each pixel of the crop, times the mask."""
        own = self.pixels(count)
        if self.repainted is None:
            return own
        height, width, top, left = self.area
        return own * self.repainted[:, top : top + height, left : left + width].to(own)

    def weights(self, count: int, device: torch.device | None = None) -> Tensor:
        """[B, tokens] on the device: the weight of each of the crop's tokens in means; the weights add up to 1.

        By `counted`, and by `pixels` if nothing of the crop is repainted.
        """
        if self.is_whole and self.repainted is None:
            return torch.full((count, self.tokens), 1 / self.tokens, device=device)
        pixels = self.counted(count)
        pixels = torch.where(pixels.sum((1, 2), keepdim=True) > 0, pixels, self.pixels(count).to(pixels))
        own = self._sums(pixels, self.size).flatten(1)
        return (own / own.sum(1, keepdim=True).clamp_min(1e-12)).to(device)

    def counts(self, count: int) -> Tensor:
        """[B]: the share of the picture that is in this forward's means."""
        return self.acts(count) if self.repainted is None else self._part(self.counted(count))

    def repainted_tokens(self, count: int) -> Tensor | None:
        """[B, tokens of the picture]: the repainted share of each; None without a mask."""
        if self.repainted is None:
            return None
        inside = self._sums(torch.ones(1, *self.latent), self.whole)
        return (self._sums(self.repainted.cpu(), self.whole) / inside).flatten(1).expand(count, -1)

    def by_token(self, pixels: Tensor) -> Tensor:
        """[B, h, w] of the whole latent -> [B, rows, columns]: the sum over each token's pixels."""
        return self._sums(pixels, self.whole)

    def _sums(self, pixels: Tensor, size: tuple[int, int]) -> Tensor:
        """[B, h, w] -> [B, rows, columns]: the sum over each token's pixels."""
        rows, columns = size
        height, width = pixels.shape[1:]
        short = (0, columns * self.patch - width, 0, rows * self.patch - height)
        return pad(pixels, short).unflatten(1, (rows, -1)).unflatten(3, (columns, -1)).sum((2, 4))

    def _part(self, pixels: Tensor) -> Tensor:
        return (pixels.sum((1, 2)) / (self.latent[0] * self.latent[1])).cpu()

    def acts(self, count: int) -> Tensor:
        """[B]: the share of the picture in which this forward's entry acts."""
        if self.is_whole:
            return torch.ones(count)
        return self._part(self.pixels(count))

    def spread(self, maps: Tensor) -> Tensor:
        """maps [blocks, heads, B, words, tokens] of the crop -> [.., tokens] of the whole picture, zero elsewhere."""
        if self.is_whole:
            return maps
        pixels = self.pixels(maps.shape[2])[:, None].to(maps.device)  # [B, 1, h, w]
        return torch.stack([self._spread(each, pixels) for each in maps])  # block by block, to save memory

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
