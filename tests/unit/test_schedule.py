"""The official schedule against Black Forest Labs' formulas, written out a second time and in double precision.

Source: black-forest-labs/flux, src/flux/sampling.py: get_lin_function, time_shift, get_schedule.
"""

import math

import pytest
import torch

from flux_duet.nodes.sample.schedule import FIXED_MU, denoised, flux_sigmas, image_tokens, official_mu


def bfl_mu(tokens: int, x1=256, y1=0.5, x2=4096, y2=1.15) -> float:
    m = (y2 - y1) / (x2 - x1)
    b = y1 - m * x1
    return m * tokens + b


def bfl_schedule(steps: int, tokens: int, shift: bool) -> list[float]:
    """time_shift(mu, sigma=1.0, t) of 1, 1 - 1/steps, ..., 0; its limit at t = 0 is 0."""
    times = [1 - step / steps for step in range(steps + 1)]
    if not shift:
        return times
    mu = bfl_mu(tokens)
    return [math.exp(mu) / (math.exp(mu) + (1 / t - 1) ** 1.0) if t else 0.0 for t in times]


@pytest.mark.parametrize("steps", [1, 2, 4, 20, 50])
@pytest.mark.parametrize("tokens", [64, 256, 1024, 4096, 16384])
@pytest.mark.parametrize("shift", [True, False], ids=["dev", "schnell"])
def test_sigmas_are_bfls(steps, tokens, shift):
    sigmas = flux_sigmas(steps, official_mu(tokens) if shift else None)
    reference = torch.tensor(bfl_schedule(steps, tokens, shift), dtype=torch.float64)
    assert sigmas.dtype == torch.float32 and sigmas.shape == (steps + 1,)
    # float32 rounds a handful of operations at 6e-8 each
    torch.testing.assert_close(sigmas.double(), reference, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("mu", [None, 0.0, -2.0, 0.63, FIXED_MU, 3.0])
def test_sigmas_fall_from_exactly_one_to_exactly_zero(mu):
    sigmas = flux_sigmas(28, mu)
    assert sigmas[0] == 1 and sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


def test_more_shift_means_more_noise():
    low, high = flux_sigmas(10, 0.5), flux_sigmas(10, 1.15)
    assert (high[1:-1] > low[1:-1]).all()
    torch.testing.assert_close(flux_sigmas(10, 0.0), flux_sigmas(10, None))


def test_mu_lies_on_the_published_line():
    assert official_mu(256) == pytest.approx(0.5, abs=1e-12)
    assert official_mu(4096) == pytest.approx(FIXED_MU, abs=1e-12)
    assert official_mu(1024) == pytest.approx(bfl_mu(1024), abs=1e-12)


@pytest.mark.parametrize(
    ("height", "width", "tokens"), [(128, 128, 4096), (32, 32, 256), (31, 32, 256), (33, 31, 17 * 16), (1, 1, 1)]
)
def test_image_tokens_pad_odd_sides(height, width, tokens):
    assert image_tokens(height, width) == tokens


def test_denoise_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="`denoise` is nan, expected a number from 0 to 1"):
        denoised(lambda steps: flux_sigmas(steps, None), 4, math.nan)


def test_denoise_takes_the_end_of_a_longer_schedule():
    def sigmas_of(steps):
        return flux_sigmas(steps, 1.15)

    assert torch.equal(denoised(sigmas_of, 6, 1.0), sigmas_of(6))
    assert torch.equal(denoised(sigmas_of, 6, 0.5), sigmas_of(12)[6:])
    assert denoised(sigmas_of, 6, 0.0).numel() == 0
