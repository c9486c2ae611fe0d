"""Shared by the tests of Prompt Grid: a model for each test, and a count of sampled pictures."""

import comfy.model_management
import comfy.sd
import comfy.utils
import pytest

from flux_duet.nodes.probe.grid import cells
from flux_duet.nodes.probe.grid.nodes import PromptGrid
from flux_duet.tests.comfy.grid.models import CLIPS, LATENT, T5S


@pytest.fixture
def model(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


@pytest.fixture
def draw(singles, vae):
    """`draw(model, **options)`: a grid of two CLIP prompts, three T5 prompts and two seeds."""

    def run(model, clips=CLIPS, t5s=T5S, seed=7, seeds=2, steps=2, latent=LATENT, guidance=3.5, **options):
        def lines(prompts):
            return "\n".join(prompt or '""' for prompt in prompts)

        return PromptGrid.execute(
            model,
            *singles,
            vae,
            lines(clips),
            lines(t5s),
            latent,
            seed,
            seeds,
            steps,
            "euler",
            "simple",
            guidance,
            **options,
        ).result

    return run


@pytest.fixture
def pictures(monkeypatch):
    """Counts sampled pictures; `stop` is the number of the picture at which the run is interrupted."""
    seen = type("Seen", (), {"count": 0, "stop": None})()
    sample = cells.sample

    def counted(*args):
        seen.count += 1
        if seen.count == seen.stop:
            comfy.model_management.interrupt_current_processing()
        return sample(*args)

    monkeypatch.setattr(cells, "sample", counted)
    return seen
