"""A picture of any size is fitted to whole tokens, and a map of the tokens back to the picture."""

import pytest
import torch

from flux_duet.nodes.probe.picture.fitting import Fit

SIZES = [(64, 64), (37, 53), (1, 1), (16, 700), (2100, 1300)]


@pytest.mark.parametrize("megapixels", [1.0, 0.25, 0.0])
@pytest.mark.parametrize("size", SIZES)
def test_it_sees_whole_tokens_and_no_more_than_allowed(size, megapixels):
    fit = Fit.of(size, megapixels)
    pixels, limit = size[0] * size[1], megapixels * 1024**2
    seen = fit.seen[0] * fit.seen[1]
    assert fit.seen == size if not limit or pixels <= limit else seen == pytest.approx(limit, rel=0.02)
    assert all(side % 16 == 0 and 0 <= side - seen < 16 for side, seen in zip(fit.filled, fit.seen, strict=True))
    put = fit.put(torch.rand(2, *size, 4))
    assert put.shape == (2, *fit.filled, 3)
    assert fit.cut(torch.zeros(3, *fit.whole)).shape == (3, *size)


def test_a_picture_of_whole_tokens_stays_as_it_is():
    image = torch.rand(1, 48, 32, 3)
    assert torch.equal(Fit.of((48, 32), 1.0).put(image), image)


def test_what_is_added_repeats_the_edges():
    image = torch.rand(1, 37, 53, 3)
    put = Fit.of((37, 53), 1.0).put(image)
    assert torch.equal(put[:, :37, :53], image)
    assert torch.equal(put[:, 37:, :53], image[:, 36:].expand(-1, 11, -1, -1))
    assert torch.equal(put[:, :, 53:], put[:, :, 52:53].expand(-1, -1, 11, -1))


@pytest.mark.parametrize("size, megapixels", [((101, 67), 0.0), ((900, 700), 0.05)])
def test_a_map_comes_back_to_its_place(size, megapixels):
    """A square in the picture, seen by the tokens, is where it was: to half a token at the scale that is seen."""
    image = torch.zeros(1, *size, 3)
    top, left, side = size[0] // 2, size[1] // 4, size[0] // 3
    image[:, top : top + side, left : left + side] = 1
    fit = Fit.of(size, megapixels)
    tokens = torch.nn.functional.avg_pool2d(fit.put(image).movedim(-1, 1), 16)
    mask = fit.cut(torch.nn.functional.interpolate(tokens, fit.whole, mode="bilinear", align_corners=False))[0, 0]
    where = torch.stack(torch.meshgrid(*(torch.arange(each) + 0.5 for each in size), indexing="ij"))
    centre = (where * mask).sum((1, 2)) / mask.sum()
    token = 16 * size[0] / fit.seen[0]
    assert (centre - torch.tensor([top + side / 2, left + side / 2])).abs().max() < token / 2
