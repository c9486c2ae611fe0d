"""The measure through T5 x causal, from the two measures of the same run; and the picture is the same."""

from itertools import product

import numpy as np
import pytest
import torch

from flux_duet.bench.heatmap import recording
from flux_duet.nodes.probe.heat.choices import CAUSAL, PRODUCT, THROUGH
from flux_duet.nodes.probe.heat.product.product import lengths, multiplied
from flux_duet.tests.comfy.heatmap.runs import BLOCKS, prompt, sampled, watched

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def test_the_product_is_of_the_two_measures(model, singles, streams):
    positive, given = prompt(streams), {"clip": singles[1], "at": "1, 0.5"}
    both, through, causal = (
        watched(model, streams["txt"], positive, "red, redder ring", measure, heatmap=dict(given))[0]
        for measure in (PRODUCT, THROUGH, CAUSAL)
    )
    changes = causal.maps[:, 0].mean(0)[0].numpy()  # [words, tokens]
    lengths = np.sqrt(changes / changes.max(1, keepdims=True))
    for block, word in product(range(BLOCKS), range(2)):
        own = through.maps[:, block, 0, word].numpy()  # [steps, tokens]
        r = np.corrcoef(own.mean(0), lengths[word])[0, 1]
        expected = max(r, 0) ** 4 * own / own.mean(0).max() * lengths[word]
        assert np.allclose(both.maps[:, block, 0, word], expected, rtol=1e-3, atol=1e-9)
    assert both.maps.any()
    assert torch.equal(both.groups, through.groups) and both.maps.shape == through.maps.shape
    assert (both.measure, both.words) == (PRODUCT, ("red", "redder ring"))


def test_the_picture_is_the_same(model, singles, streams):
    positive = prompt(streams)
    _, latent = watched(model, streams["txt"], positive, "red", PRODUCT, heatmap={"clip": singles[1]})
    assert torch.equal(latent["samples"], sampled(model, positive)["samples"])


def test_lengths_are_those_of_the_mean_change():
    causal = torch.tensor([[4.0, 0.0, 1.0], [12.0, 0.0, 3.0]])[:, None, None, None]  # two steps, one word
    assert lengths(causal)[0, 0].tolist() == [1, 0, 0.5]
    assert lengths(torch.zeros(1, 1, 1, 1, 2)).tolist() == [[[0, 0]]]


def test_only_blocks_that_agree_with_the_change_have_a_map():
    changes = torch.tensor([0.0, 0.0, 1.0, 1.0])
    blocks = torch.stack([changes * 7 + 3, 1 - changes, torch.ones(4), torch.tensor([0.0, 1.0, 1.0, 0.0])])
    found = multiplied(blocks[None, :, None, None], changes[None, None, None, None])[0, :, 0, 0]
    assert torch.allclose(found, torch.stack([changes, *[torch.zeros(4)] * 3]), atol=1e-6)


def test_the_bench_multiplies_summaries_as_the_recorder_multiplies_readings():
    ranges = len(recording.RANGES)
    steps = torch.rand(ranges, 3, 2, 1, 12)  # a range for each step; [steps, blocks, objects, words, places]
    steps[recording.ALL] = steps[1:].mean(0)
    changes = torch.rand(ranges, 1, 2, 1, 12)
    changes[recording.ALL] = changes[1:].mean(0)
    one, other = (
        recording.Maps(each[:, :, :, 0].permute(2, 0, 1, 3).unflatten(3, (3, 4)), tuple(range(each.shape[1])), 1)
        for each in (steps, changes)
    )
    found = recording.multiplied(one, other).values
    expected = multiplied(steps[1:], changes[1:])[:, :, :, 0].permute(2, 0, 1, 3)
    assert torch.allclose(found[:, 1:].flatten(3), expected, rtol=1e-4)
    assert torch.allclose(found[:, recording.ALL].flatten(2), expected.mean(1), rtol=1e-4)
