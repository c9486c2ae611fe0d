"""Several GPUs: ComfyUI evaluates the prompts in threads, one per GPU, and the probes' readings must not mix.

Both GPUs are the CPU; a barrier inside the models makes the forwards overlap.
"""

import threading
from functools import partial

import comfy.sampler_helpers
import comfy.sd
import pytest
import torch

from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.heat.nodes import Heatmap
from flux_duet.nodes.probe.influence.nodes import Influence
from flux_duet.tests.comfy import sampling

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS = 3
LATENT = {"samples": torch.zeros(1, 16, 10, 6)}


@pytest.fixture(scope="module")
def models(tiny):
    return [comfy.sd.load_diffusion_model(str(tiny["flux"])) for _ in range(2)]


@pytest.fixture(scope="module")
def prompts(singles):
    """The negative is longer, so that the two are never in one batch."""
    with torch.inference_mode():
        vec = ClipEncode.execute(singles[0], "on paper")[0]
        txts = [T5Encode.execute(singles[1], text)[0] for text in ("a red circle", "a blue star " * 90)]
        return txts[0], [DualPrompt.execute(vec, txt, 3.5)[0] for txt in txts]


@pytest.fixture
def cards(models, monkeypatch):
    """ComfyUI finds a second GPU with the second model; the list counts the forwards that overlapped."""
    met, barrier = [], threading.Barrier(2, timeout=60)

    def clones(model_patcher, loaded_models, model_options):
        model_options["multigpu_clones"] = {model_patcher.load_device: model_patcher, torch.device("cpu:0"): other}
        return [other]

    other = models[1].clone()
    other.load_device = torch.device("cpu:0")
    for model in models:
        block = model.model.diffusion_model.double_blocks[1]

        def meet(*args, forward=block.forward, **kwargs):
            if threading.current_thread() is not threading.main_thread():
                met.append(barrier.wait())
            return forward(*args, **kwargs)

        monkeypatch.setattr(block, "forward", meet)
    monkeypatch.setattr(comfy.sampler_helpers, "prepare_model_patcher_multigpu_clones", clones)
    return met


sampled = partial(sampling.sampled, cfg=2.0, latent=LATENT, steps=STEPS)


@pytest.mark.parametrize("measure", ["mass", "flow", "output"])
def test_heatmaps_of_two_cards(models, prompts, cards, monkeypatch, measure):
    txt, (positive, negative) = prompts
    ready, probe = Heatmap.execute(models[0], txt, "red, circle", measure).result
    latent = sampled(ready, positive, negative)
    assert len(cards) == 2 * STEPS, "both forwards of each step overlapped"
    found = probe.reading(latent)
    monkeypatch.undo()
    alone, single = Heatmap.execute(models[0], txt, "red, circle", measure).result
    plain = sampled(alone, positive, negative)
    assert torch.equal(latent["samples"], plain["samples"])
    expected = single.reading(plain)
    assert found.role == expected.role == "positive" and found.numbers == expected.numbers
    assert torch.equal(found.maps, expected.maps) and torch.equal(found.groups, expected.groups)


def test_influence_of_two_cards(models, prompts, cards, monkeypatch):
    _, (positive, negative) = prompts
    ready, probe = Influence.execute(models[0], "zeros", 1).result
    found = probe.reading(sampled(ready, positive, negative))
    assert len(cards) == 4 * STEPS, "the plain forwards overlapped, and so did the extra ones"
    monkeypatch.undo()
    alone, single = Influence.execute(models[0], "zeros", 1).result
    expected = single.reading(sampled(alone, positive, negative))
    assert found.rows == expected.rows
    for one, other in zip(found.moments, expected.moments, strict=True):
        torch.testing.assert_close(one.modulation, other.modulation)
        for name, values in vars(one.effects["zeros"]).items():
            torch.testing.assert_close(values, vars(other.effects["zeros"])[name], rtol=1e-4, atol=1e-6)
