"""Schedules in the real model: a switch equals two chained runs, a fade a blend at each step."""

import comfy.model_management
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy.sampler_helpers import convert_cond

from flux_duet.nodes.condition.controls import has_controls
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import relative
from flux_duet.tests.comfy.time.runs import LATENT, STEPS, TXTS, VECS, natively, prompt, sampled, schedule, sigmas

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def chained(model, *parts: tuple[int, list]) -> torch.Tensor:
    both = ((end, positive, positive) for end, positive in parts)
    return sampling.chained(model, *both, latent=LATENT, steps=STEPS)["samples"]


# ---- switches


@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_switch_at_a_step_is_two_chained_runs(model, step):
    expected = chained(model, (step, prompt(1, 1)), (STEPS, prompt(2, 2)))
    assert relative(sampled(model, schedule(f"1\n@{step} 2", f"1\n@{step} 2")), expected) < 2e-6


def test_two_streams_switch_at_different_steps(model):
    expected = chained(model, (2, prompt(1, 1)), (3, prompt(1, 2)), (5, prompt(2, 2)), (STEPS, prompt(2, 3)))
    out = schedule("1\n@3 2", "1\n@2 2\n@5 3")
    assert relative(sampled(model, out), expected) < 2e-6
    assert torch.equal(natively(ApplyDuet.execute(model)[0], out), sampled(model, out))
    with pytest.raises(ValueError, match="a T5 timeline.*Apply Duet"):
        natively(model, out)


@pytest.mark.parametrize("unit", ["percent", "sigma", "steps with sigmas"])
def test_native_samplers_follow_hard_switches_unaided(model, unit):
    levels = sigmas(model)
    if unit == "percent":  # a percent between that of the step before and the step's own, by the model's sampling
        at = model.get_model_object("model_sampling").percent_to_sigma
        marks = {step: next(p for p in range(100) if levels[step - 1] > at(p / 100) >= levels[step]) for step in (2, 4)}
        marks, options = {step: f"{percent}%" for step, percent in marks.items()}, {}
    elif unit == "sigma":
        marks, options = {step: f"s{levels[step].item():.9g}" for step in (2, 4)}, {}
    else:
        marks, options = {2: "2", 4: "4"}, {"sigmas": levels}
    out = schedule(f"1\n@{marks[2]} 2", f"1\n@{marks[4]} 2", **options)
    assert not has_controls(out) and len(out) == 3
    expected = chained(model, (2, prompt(1, 1)), (4, prompt(2, 1)), (STEPS, prompt(2, 2)))
    assert relative(natively(model, out), expected) < 2e-6
    assert torch.equal(sampled(model, out), natively(model, out))


def test_streams_in_different_units(model):
    levels = sigmas(model)
    out = schedule("1\n@2 2", f"1\n@s{levels[4].item():.9g} 2")
    expected = chained(model, (2, prompt(1, 1)), (4, prompt(2, 1)), (STEPS, prompt(2, 2)))
    assert relative(sampled(model, out), expected) < 2e-6
    mixed = schedule("1\n@30% 2", f"1\n@s{levels[4].item():.9g} 2")
    assert has_controls(mixed), "ComfyUI's ranges are in percent or in sigma, so the T5 stream travels as a control"


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("unit, values", [("%", (25, 50)), ("s", (0.9, 0.7)), ("%", (0.001, 99.99))])
def test_every_evaluation_has_exactly_one_prompt(model, unit, values, count):
    """Counted in ComfyUI's own selection, at sigmas on the boundaries, next to them, and elsewhere."""
    marks = [f"{value}%" if unit == "%" else f"s{value}" for value in values]
    timeline = "\n".join(["1", *(f"@{mark} {number}" for number, mark in enumerate(marks[: count - 1], 2))])
    out = schedule("1", timeline)
    conds = convert_cond(out)
    comfy.samplers.calculate_start_end_timesteps(model.model, conds)
    at = model.get_model_object("model_sampling").percent_to_sigma
    edges = [at(value / 100) if unit == "%" else value for value in values]
    exact = torch.tensor([*edges, 1.0, 1e-4], dtype=torch.float32)
    near = torch.cat([torch.nextafter(exact, torch.tensor(2.0)), exact, torch.nextafter(exact, torch.tensor(0.0))])
    for sigma in torch.cat([near[near <= 1], torch.linspace(1e-4, 1, 4001)]):  # FLUX.1's go no higher
        holding = [
            entry
            for entry in conds
            if not (sigma > entry.get("timestep_start", 9)) and not (sigma < entry.get("timestep_end", 0))
        ]
        assert len(holding) == 1, f"{len(holding)} prompts at sigma {sigma.item()!r}"


def test_one_prompt_throughout_is_dual_prompt(model):
    out = schedule("2", "3")
    assert not has_controls(out) and torch.equal(natively(model, out), natively(model, prompt(2, 3)))


# ---- fades


def test_a_fade_is_a_blend_at_each_step(model):
    from flux_duet.nodes.condition.blend.nodes import BlendTxt, BlendVec

    def blend(share):
        mixed = BlendVec.execute(VECS["vec1"], "lerp", share, VECS["vec2"])[0]
        joined = BlendTxt.execute(TXTS["txt1"], "join", share, TXTS["txt2"])[0]
        return DualPrompt.execute(mixed, joined, 3.5)[0]

    out = schedule("1\n@2..4 2", "1\n@2..4 2")
    ready = ApplyDuet.execute(model)[0]
    parts = [(2, prompt(1, 1)), (3, blend(1 / 3)), (4, blend(2 / 3)), (STEPS, prompt(2, 2))]
    assert relative(sampled(model, out), chained(ready, *parts)) < 5e-6


def test_join_with_itself_is_the_prompt_alone(model):
    """The duplicate identity, on the nano model's own encoder: two halves of each row, one block of pads."""
    from flux_duet.nodes.condition.blend.nodes import BlendTxt

    for weight in (0.5, 0.2):
        twice = BlendTxt.execute(TXTS["txt1"], "join", weight, TXTS["txt1"])[0]
        assert twice.spans[0].tensor.shape[1] == 18
        out = DualPrompt.execute(VECS["vec1"], twice, 3.5)[0]
        assert relative(sampled(model, out, steps=2), sampled(model, prompt(1, 1), steps=2)) < 5e-6
