"""Switch Sweep and Prompt Grid with a noise_mask."""

import json

import pytest
import torch

from flux_duet.nodes.probe.grid.variance import PARTS, analyse
from flux_duet.nodes.probe.repainted import repainted_sentence
from flux_duet.tests.comfy.inpainting.runs import (
    LATENTS,
    ONE,
    SIDE,
    drawn,
    swept,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def test_a_sweep_of_a_small_part_is_not_called_the_same_picture(model):
    """Two prompts that differ at a single place: relative to the whole picture it may be rounding, there it is not."""
    mask = torch.zeros(1, SIDE, SIDE)
    mask[:, 3, 4] = 1
    latent = {"samples": 30_000 * ONE, "noise_mask": mask}
    _, out, _, data, sentence = swept(model, latent)
    data, samples = json.loads(data), out["samples"].double()
    here = samples[:, :, 3, 4]
    b, a = here[0], here[-1]
    assert (b - a).norm() < 1e-5 * samples[0].norm(), "over the whole picture, the two are equal"
    expected = ((here - a) @ (b - a) / (b - a).norm() ** 2).tolist()
    assert [run["latents"]["way"] for run in data["runs"]] == pytest.approx(expected, abs=1e-4)
    assert data["repainted"] == pytest.approx(1 / SIDE**2) and repainted_sentence([1 / SIDE**2]) in sentence
    assert sentence.startswith("The picture is decided at step")


def test_a_sweeps_pixels_are_those_repainted(model, vae):
    """The VAE spreads a change over the mask's edge; outside of the mask it does not count."""
    _, out, _, data, _ = swept(model, LATENTS["half"], vae=vae)
    pixels = vae.decode(out["samples"]).double()[:, :, pixels_from(vae) :]
    flat = pixels.flatten(1)
    b, a = flat[0], flat[-1]
    expected = ((flat - a) @ (b - a) / (b - a).norm() ** 2).tolist()
    assert [run["pixels"]["way"] for run in json.loads(data)["runs"]] == pytest.approx(expected, abs=1e-5)


def pixels_from(vae) -> int:
    return SIDE // 2 * vae.spacial_compression_decode()


def test_a_grids_variance_is_of_what_is_repainted(model, singles, vae):
    """Equal to the analysis of the cells' right halves alone, in latents and in pixels."""
    _, latents, _, data, sentence = drawn(model, singles, vae, LATENTS["half"])
    data, samples = json.loads(data), latents["samples"]
    pixels = vae.decode(samples)[:, :, pixels_from(vae) :]
    for name, right in (("latents", samples[..., SIDE // 2 :]), ("pixels", pixels)):
        expected = analyse(right.unflatten(0, (3, 2, 2)))
        for part in PARTS:
            assert data[name]["shares"][part] == pytest.approx(expected.shares[part], rel=1e-4, abs=1e-6)
            assert data[name]["components"][part] == pytest.approx(expected.components[part], rel=1e-4, abs=1e-9)
    assert data["repainted"] == 0.5 and repainted_sentence([0.5]) in sentence
