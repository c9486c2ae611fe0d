"""The measure through T5 x causal: the two measures' maps of the same run, multiplied; and the picture is the same."""

import pytest
import torch

from flux_duet.nodes.probe.heat.choices import CAUSAL, PRODUCT, THROUGH
from flux_duet.nodes.probe.heat.product.product import factor
from flux_duet.tests.comfy.heatmap.runs import prompt, sampled, watched

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def test_the_product_is_of_the_two_measures(model, singles, streams):
    positive, given = prompt(streams), {"clip": singles[1], "at": "1, 0.5"}
    both, through, causal = (
        watched(model, streams["txt"], positive, "red, redder ring", measure, heatmap=dict(given))[0]
        for measure in (PRODUCT, THROUGH, CAUSAL)
    )
    changes = causal.maps[:, 0].mean(0)  # [B, words, tokens]
    expected = through.maps * (changes / changes.amax(-1, keepdim=True)).sqrt()
    assert torch.allclose(both.maps, expected, rtol=1e-5, atol=0)
    assert torch.equal(both.groups, through.groups) and both.maps.shape == through.maps.shape
    assert (both.measure, both.words) == (PRODUCT, ("red", "redder ring"))


def test_the_picture_is_the_same(model, singles, streams):
    positive = prompt(streams)
    _, latent = watched(model, streams["txt"], positive, "red", PRODUCT, heatmap={"clip": singles[1]})
    assert torch.equal(latent["samples"], sampled(model, positive)["samples"])


def test_factor_is_the_length_of_the_change():
    causal = torch.tensor([[4.0, 0.0, 1.0], [12.0, 0.0, 3.0]])[:, None, None, None]  # two steps, one word
    assert factor(causal)[0, 0].tolist() == [1, 0, 0.5]
    assert factor(torch.zeros(1, 1, 1, 1, 2)).tolist() == [[[0, 0]]]
