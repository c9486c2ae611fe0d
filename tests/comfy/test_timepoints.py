"""Percent of time and sigma, by FLUX.1's own sampling in ComfyUI."""

import itertools
from types import SimpleNamespace

import comfy.model_sampling
import pytest
import torch

from flux_duet.nodes.condition.timepoints import percent_at

SHIFTS = (0.0, 0.5, 1.15, 2.02)  # schnell's, a small picture's, the default, a large one's


def flux(shift: float):
    return comfy.model_sampling.ModelSamplingFlux(SimpleNamespace(sampling_settings={"shift": shift})).percent_to_sigma


@pytest.mark.parametrize("shift", SHIFTS)
def test_percent_is_the_inverse_of_percent_to_sigma(shift):
    at = flux(shift)
    for permille in range(1001):
        percent = permille / 10
        assert percent_at(at(percent / 100), at) == pytest.approx(percent, abs=1e-11)
    for sigma in torch.linspace(1e-4, 1, 1000).tolist():
        assert at(percent_at(sigma, at) / 100) == pytest.approx(sigma, rel=1e-11)


@pytest.mark.parametrize("shift", SHIFTS)
def test_its_ends_are_exactly_0_and_100(shift):
    at = flux(shift)
    assert percent_at(1.0, at) == 0.0 == percent_at(1.5, at)
    assert percent_at(0.0, at) == 100.0 == percent_at(-1.0, at)


@pytest.mark.parametrize("shift", SHIFTS)
def test_it_falls_as_sigma_rises(shift):
    percents = [percent_at(sigma, flux(shift)) for sigma in torch.linspace(0, 1, 2001).tolist()]
    assert all(one > other for one, other in itertools.pairwise(percents))


def test_other_samplings_are_inverted_as_well():
    at = comfy.model_sampling.ModelSamplingDiscreteFlow(SimpleNamespace(sampling_settings={"shift": 3.0}))
    at = at.percent_to_sigma
    shares = [share / 20 for share in range(21)]
    assert [percent_at(float(at(share)), at) / 100 for share in shares] == pytest.approx(shares, abs=1e-11)
