"""Switch Sweep of prompts with extras by native nodes."""

import comfy.hooks
import comfy.model_management
import comfy.sd
import pytest
import torch

from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.probe.sweep.switched_prompt import left_behind, switched
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.tests.comfy import extras
from flux_duet.tests.comfy.inputs import relative
from flux_duet.tests.comfy.sweep.runs import LATENT, SEED, STEPS, STREAMS, VECS, counting, sampled, swept

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


# ---- extras by native nodes


def native(v: int, t: int) -> list:
    return join(VECS[v], STREAMS["unequal lengths"][t], 3.5)


def chained(model, first: list, then: list, step: int) -> torch.Tensor:
    """Two chained samplers: the first prompt until this step, the second from it on."""
    if step in (0, STEPS):
        return sampled(model, then if step == 0 else first)
    plan = {"seed": SEED, "steps": STEPS, "sampler": "euler", "scheduler": "simple", "denoise": 1.0}
    part = MMDiTSampler.execute(model, first, LATENT, None, **plan, end_step=step, leftover_noise=True)[0]
    return MMDiTSampler.execute(model, then, part, None, **plan, start_step=step, add_noise=False)[0]["samples"]


def check_sweep(model, a: list, b: list, switch: str, after: list) -> str:
    """Asserts that every picture equals that of two chained samplers, the second with `after`; returns the sentence."""
    _, latents, *_, sentence = swept(model, a, b, switch)
    for step in (0, 2, STEPS):
        assert relative(latents["samples"][step : step + 1], chained(model, a, after, step)) < 5e-6, f"at {step}"
    return sentence


def extras_of(model) -> dict:
    net = extras.control_net(model)
    return {
        "reference": extras.referred, "ControlNet": lambda each: extras.controlled(each, net),
        "Redux": extras.redux, "attn_bias": lambda each: extras.redux(each, "attn_bias", 0.4),
        "mask": lambda each: extras.masked(each, "left"), "area": extras.placed,
        "times": lambda each: extras.combined(
            extras.timed(each, 0.0, 0.4), extras.timed(extras.referred(each), 0.4, 1.0)),
    }  # fmt: skip


@pytest.mark.parametrize("switch", ["T5", "CLIP", "both"])
@pytest.mark.parametrize("name", ["reference", "ControlNet", "Redux", "attn_bias", "mask", "area", "times"])
def test_each_prompt_may_come_through_its_own_node(model, name, switch):
    """Equal values, but different objects: this was once refused, with a message about `vec` and `txt`."""
    put = extras_of(model)[name]
    after = put(native(switch != "T5", switch != "CLIP"))
    sentence = check_sweep(model, put(native(0, 0)), put(native(1, 1)), switch, after)
    assert "did not count" not in sentence
    assert relative(sampled(model, after), sampled(model, native(switch != "T5", switch != "CLIP"))) > 1e-4


def test_where_they_differ_as_extras_stay(model):
    """And the sentence names which of B's extras did not count."""
    for one, other, words in (
        (extras.referred, lambda each: extras.referred(each, 4), "reference pictures"),
        (lambda each: each, lambda each: extras.masked(each, "left"), "masks"),
        (extras.referred, lambda each: each, ""),
    ):  # fmt: skip
        sentence = check_sweep(model, one(native(0, 0)), other(native(1, 1)), "T5", one(native(0, 1)))
        assert f"B's own {words}" in sentence if words else "did not count" not in sentence
    both = check_sweep(model, native(0, 0), extras.referred(native(1, 1)), "both", extras.referred(native(1, 1)))
    assert "did not count" not in both


def test_redux_weights_go_with_the_t5_prompt_that_plays(model):
    def weighted(each):
        return extras.redux(each, "attn_bias", 0.4)

    check_sweep(model, weighted(native(0, 0)), native(1, 1), "T5", native(0, 1))
    check_sweep(model, native(0, 0), weighted(native(1, 1)), "T5", weighted(native(0, 1)))
    check_sweep(model, native(0, 0), weighted(native(1, 1)), "CLIP", native(1, 0))


def test_several_prompts_with_masks_go_one_by_one(model):
    def halves(left, right):
        return extras.combined(extras.masked(left, "left"), extras.masked(right, "right"))

    a, b = halves(native(0, 0), native(1, 0)), halves(native(0, 1), native(1, 0))
    check_sweep(model, a, b, "T5", halves(native(0, 1), native(1, 0)))
    check_sweep(model, a, native(1, 1), "T5", halves(native(0, 1), native(1, 1)))
    watched, rows = counting(model)
    with pytest.raises(ValueError, match="Switch Sweep: `b` holds 2 prompts that differ in masks"):
        swept(watched, native(0, 0), b)
    with pytest.raises(ValueError, match="Switch Sweep: `a` has 2 encodings and `b` 3"):
        swept(watched, a, native(1, 1) * 3)
    assert not rows, "before sampling begins"


def test_hooks_stay_as_as_all_that_is_as(model):
    a, b = extras.hooked(native(0, 0), 1), extras.hooked(native(1, 1), 3)
    after = comfy.hooks.set_hooks_for_conditioning(native(0, 1), a[0][1]["hooks"])
    check_sweep(model, a, b, "T5", after)
    assert relative(sampled(model, after), sampled(model, native(0, 1))) > 1e-4, "the LoRA counts"


# ---- the decision


def test_where_both_have_hooks_a_sweep_keeps_as():
    """Two prompts, each with its own LoRA as a hook: after the switch B's T5 prompt is used with A's LoRA."""
    plain = [join(VECS[number], STREAMS["plain"][number], 3.5) for number in range(2)]
    a, b = (extras.hooked(each, seed) for each, seed in zip(plain, (1, 2), strict=True))
    for stream in ("T5", "CLIP"):
        assert switched(a, b, stream)[0][1]["hooks"] is a[0][1]["hooks"]
        assert "B's own hooks did not count" in left_behind(a, b, stream)
        assert switched(plain[0], b, stream)[0][1]["hooks"] is b[0][1]["hooks"], "which came with its encoder"
        assert not left_behind(plain[0], b, stream)
