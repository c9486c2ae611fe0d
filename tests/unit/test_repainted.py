"""Measures with a noise_mask, compared with explicit sums."""

from dataclasses import replace

import pytest
import torch

from flux_duet.nodes.probe.entries import Place
from flux_duet.nodes.probe.heat import stored
from flux_duet.nodes.probe.heat.choices import MASS
from flux_duet.nodes.probe.heat.reading import GROUPS, Choice, HeatReading, counts, maps, masks, otsu, span
from flux_duet.nodes.probe.heat.token_grid import Grid
from flux_duet.nodes.probe.repainted import (
    NOTHING_REPAINTED,
    Repainted,
    counted,
    finished,
    mean_square,
    repainted_sentence,
    share,
)


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


V, MASK = randn(1, 2, 16, 3, 4), torch.rand(2, 1, 3, 4, generator=torch.Generator().manual_seed(2)).repeat(1, 16, 1, 1)


def test_without_a_mask_nothing_is_touched():
    assert counted(V, None) is V and finished(V, None) is V
    assert share(None, 2) is None and repainted_sentence(None) == ""
    lengths = V.norm(dim=1)
    assert torch.equal(mean_square(lengths, None), lengths.square().flatten(1).mean(1))


def test_the_formulas():
    mean = mean_square(counted(V, MASK).norm(dim=1), MASK)
    for picture in range(2):
        above = sum(
            float((MASK[picture, :, y, x] * V[picture, :, y, x]).square().sum()) for y in range(3) for x in range(4)
        )
        below = sum(float(MASK[picture, 0, y, x]) ** 2 for y in range(3) for x in range(4))
        assert float(mean[picture]) == pytest.approx(above / below, rel=1e-5)
    assert share(MASK, 2).tolist() == pytest.approx([float(MASK[at, 0].mean()) for at in range(2)])
    assert share(MASK[:1], 3).shape == (3,), "one mask for all pictures"
    assert mean_square(V.norm(dim=1) * 0, MASK * 0).tolist() == [0, 0]


def test_finished_pictures_count_as_they_are_where_they_may_differ():
    mask = torch.zeros(1, 16, 2, 3)
    mask[..., 1, 2] = 0.25
    latents, pixels = randn(3, 5, 16, 2, 3), randn(4, 5, 16, 24, 3)
    found = finished(latents, mask)
    assert torch.equal(found[..., 1, 2], latents[..., 1, 2]) and found.count_nonzero() == 5 * 16
    found = finished(pixels, mask)
    assert torch.equal(found[:, 8:, 16:], pixels[:, 8:, 16:]) and found.count_nonzero() == 5 * 8 * 8 * 3


def test_the_mask_in_use_is_what_the_function_gave_last():
    repainted = Repainted(MASK)
    function = repainted.noting(lambda sigma, mask, extra_options: mask * sigma)
    assert torch.equal(function(0.5, MASK, extra_options={}), MASK * 0.5)
    assert torch.equal(repainted.mask, MASK * 0.5)


@pytest.mark.parametrize(
    "shares, text", [([0.23], "23 %"), ([0.2, 0.3], "25 %"), ([0.034], "3.4 %"), ([0.0004], "0.04 %"), ([1.0], "100 %")]
)
def test_the_sentence_names_the_share(shares, text):
    assert repainted_sentence(shares) == f"Measured over the repainted {text} of the picture."
    assert repainted_sentence([0.0, 0.0]) == NOTHING_REPAINTED


# ---- Token Heatmap


def test_a_grids_weights_are_of_its_own_and_repainted_pixels():
    """With an area at an odd place, and a picture whose last tokens are half outside."""
    mask = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(5))
    grid = Grid((5, 7), 2, Place((4, 3, 1, 3), None), mask)
    expected = torch.zeros(2, 2, 2)
    for y in range(4):
        for x in range(3):
            expected[:, y // 2, x // 2] += mask[:, 1 + y, 3 + x]
    weights = (expected / expected.sum((1, 2), keepdim=True)).flatten(1)
    assert torch.allclose(grid.weights(2), weights)
    assert torch.allclose(grid.counts(2), expected.sum((1, 2)) / 35)
    tokens = grid.repainted_tokens(2).unflatten(1, (3, 4))
    assert torch.allclose(tokens[:, 0, 0], mask[:, :2, :2].mean((1, 2)))
    assert torch.allclose(tokens[:, 2, 3], mask[:, 4, 6])
    plain, kept = replace(grid, repainted=None), replace(grid, repainted=mask * 0)
    assert torch.equal(kept.weights(2), plain.weights(2)), "over all of it, if nothing of it is repainted"
    assert not kept.counts(2).any() and plain.repainted_tokens(2) is None


def reading(pictures: int = 2) -> HeatReading:
    generator = torch.Generator().manual_seed(3)
    found, groups = (torch.rand(3, 6, pictures, size, generator=generator) for size in (24, 2 + len(GROUPS)))
    repainted = torch.zeros(3, pictures, 12)
    repainted[1:, :, 3:8], repainted[2, :, 9] = 1.0, 0.5
    return HeatReading(
        MASS,
        ("a", "ring"),
        found.unflatten(-1, (2, 12)),
        groups,
        (1.0, 0.6, 0.2),
        (0, 2, 4),
        2,
        (3, 4),
        repainted=repainted,
    )


def test_ranges_and_thresholds_are_those_of_the_places_that_count():
    read = reading()
    found, counted = maps(read, Choice()), counts(read, Choice())
    assert counted.flatten(1)[0].nonzero()[:, 0].tolist() == [3, 4, 5, 6, 7, 9]
    assert counts(read, Choice(2, 2)).sum() == 10 and not counts(read, Choice(0, 0)).any()
    inside = found.flatten(-2)[..., [3, 4, 5, 6, 7, 9]]
    low, high = span(found, counted)
    assert torch.equal(low, inside.amin(-1)) and torch.equal(high, inside.amax(-1))
    values = masks(found, counted)
    assert values.min() == 0 and values.max() == 1
    assert torch.equal(values.flatten(-2)[..., [3, 4, 5, 6, 7, 9]], masks(inside[..., None])[..., 0])
    hard = otsu(values, counted).flatten(-2)
    assert torch.equal(hard[..., [3, 4, 5, 6, 7, 9]], otsu(masks(inside[..., None]))[..., 0])
    assert hard.sum() == hard[..., [3, 4, 5, 6, 7, 9]].sum()
    nothing = torch.zeros_like(counted)
    assert torch.equal(masks(found, nothing), masks(found).clamp(0, 1)) and not otsu(values, nothing).any()


def test_a_reading_in_a_file_knows_what_counts(tmp_path):
    read = reading()
    for each in (read, replace(reading(), repainted=None)):
        seen = stored.look(tmp_path / f"{stored.store(each, tmp_path)}{stored.SUFFIX}", Choice(2, 9))
        expected = counts(each, Choice(2, 9))
        assert (seen.counted is None) == (expected is None)
        assert expected is None or torch.equal(seen.counted, expected[0])
