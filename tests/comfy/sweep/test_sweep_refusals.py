"""Switch Sweep: errors, an interruption, and the decided step."""

import comfy.hooks
import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy_extras.nodes_flux import FluxKVCache

from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.probe.sweep.distances import between, decided, distances
from flux_duet.nodes.probe.sweep.nodes import SwitchSweep
from flux_duet.nodes.streams import ClipVec, Span, T5Text
from flux_duet.tests.comfy import extras
from flux_duet.tests.comfy.inputs import randn
from flux_duet.tests.comfy.sweep.runs import STEPS, STREAMS, VECS, swept

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


# ---- errors


@pytest.mark.parametrize(
    "sampler, words",
    [
        ("heun", "evaluates the model twice"),
        ("euler_ancestral", "new noise"),
        ("dpmpp_2m_sde", "new noise"),
        ("uni_pc", "may keep values"),
        ("dpmpp_2m", "may keep values"),
    ],
)
def test_samplers_that_cannot_be_swept_are_told_before_the_run(model, sampler, words):
    assert words in SwitchSweep.validate_inputs(sampler=sampler)
    a = join(VECS[0], STREAMS["plain"][0], 3.5)
    with pytest.raises(ValueError, match=words):
        swept(model, a, a, sampler=sampler)
    assert SwitchSweep.validate_inputs(sampler="euler") is True and SwitchSweep.validate_inputs(sampler=None) is True


def test_batches_are_reported(model):
    a = join(VECS[0], STREAMS["plain"][0], 3.5)
    with pytest.raises(ValueError, match="with 2 pictures, expected one"):
        swept(model, a, a, latent={"samples": torch.zeros(2, 16, 8, 8)})
    two = join(ClipVec((Span(randn(1, 2, 64)),)), T5Text((Span(randn(2, 2, 9, 64)),)), 3.5)
    with pytest.raises(ValueError, match="`b` holds 2 prompts"):
        swept(model, a, two, "both")


# ---- interruption and cleanup


@pytest.mark.parametrize("at", [2, STEPS + 3])
def test_an_interrupted_sweep_ends_at_once_and_leaves_nothing(model, at):
    def state():
        return repr(model.model_options), {k: dict(v) for k, v in model.wrappers.items()}, dict(model.object_patches)

    before, calls = state(), []

    def interrupting(apply_model, args):
        calls.append(1)
        if len(calls) == at:
            comfy.model_management.interrupt_current_processing()
        return apply_model(args["input"], args["timestep"], **args["c"])

    watched = model.clone()
    watched.set_model_unet_function_wrapper(interrupting)
    a, b = (join(VECS[0], t, 3.5) for t in STREAMS["regions in both"])
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        swept(watched, a, b)
    assert len(calls) == at and state() == before
    swept(model, a, b)


# ---- the decision


def test_the_crossing_of_the_distances_is_half_of_the_way():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 40, generator=generator)
    shares = [1.0, 0.9, 0.4, 0.6, 0.3, 0.0]
    pictures = torch.stack([a + share * (b - a) for share in shares])
    off = torch.randn(len(shares), 40, generator=generator)
    off -= (off @ (b - a) / (b - a).norm() ** 2)[:, None] * (b - a)
    off[0] = off[-1] = 0
    found = distances(pictures + off)
    assert found.way == pytest.approx(shares, abs=1e-5)
    assert all((one > other) == (share > 0.5) for one, other, share in zip(found.to_a, found.to_b, shares, strict=True))
    # The last crossing: between 0.6 at switch 6 and 0.3 at switch 8.
    assert decided([0, 2, 4, 6, 8, 10], found.way) == pytest.approx(6 + 2 / 3, abs=1e-4)
    assert decided([0, 1], [None, None]) is None and decided([0, 4], [1.0, 0.0]) == 2.0
    assert between([1.0, 0.5, 0.0], 1.5) == 0.25 and between([1.0, 0.0], 1.0) == 0.0


def test_flux_kv_cache_is_refused_before_anything_is_drawn(model, monkeypatch):
    a, b = (extras.referred(join(VECS[number], STREAMS["plain"][number], 3.5)) for number in range(2))
    monkeypatch.setattr(model.model.diffusion_model, "_forward", lambda *_, **__: pytest.fail("it was drawn"))
    with pytest.raises(ValueError, match="Flux KV Cache stores.*Sweep without"):
        swept(FluxKVCache.execute(model)[0], a, b)
