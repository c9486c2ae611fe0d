"""Schedules in the real model: a switch is two chained runs, ranges are ComfyUI's own where they can be."""

import comfy.model_management
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy.sampler_helpers import convert_cond
from comfy_extras import nodes_custom_sampler as custom
from comfy_extras import nodes_easycache

import nodes
from flux_duet.nodes.condition.controls import has_controls
from flux_duet.nodes.condition.nodes import DualPrompt, SplitConditioning
from flux_duet.nodes.condition.time.nodes import PartOfRun, PromptAt, Schedule
from flux_duet.nodes.sample.nodes import ApplyDuet, MMDiTSampler
from flux_duet.nodes.streams import ClipVec, Span, T5Text

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS = 6
LATENT = {"samples": torch.zeros(1, 16, 8, 8)}


@pytest.fixture(scope="module")
def model(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def vec(seed: int) -> ClipVec:
    return ClipVec((Span(randn(seed, 1, 64)),))


def txt(seed: int, length: int) -> T5Text:
    return T5Text((Span(randn(seed, 1, length, 64)),))


VECS = {"vec1": vec(1), "vec2": vec(2), "vec3": vec(3)}
TXTS = {"txt1": txt(4, 9), "txt2": txt(5, 13), "txt3": txt(6, 9)}


def prompt(clip: int, t5: int) -> list:
    return DualPrompt.execute(VECS[f"vec{clip}"], TXTS[f"txt{t5}"], 3.5)[0]


def schedule(clip: str, t5: str, **options) -> list:
    def connected(prompts, timeline):
        named = {line.split()[-1] for line in timeline.split("\n")}
        return {name: value for name, value in prompts.items() if name[-1] in named}

    return Schedule.execute(connected(VECS, clip), connected(TXTS, t5), clip, t5, **options)[0]


def sampled(model, positive, negative=None, sampler="euler", steps=STEPS, latent=LATENT, **options) -> torch.Tensor:
    return MMDiTSampler.execute(
        model,
        positive,
        latent,
        negative,
        seed=5,
        steps=steps,
        sampler=sampler,
        scheduler="simple",
        denoise=1.0,
        **options,
    )[0]["samples"]


def natively(model, positive, negative=None, cfg=1.0) -> torch.Tensor:
    return nodes.KSampler().sample(
        model, 5, STEPS, cfg, "euler", "simple", positive, negative or positive, LATENT, 1.0
    )[0]["samples"]


def chained(model, *parts: tuple[int, list]) -> torch.Tensor:
    """Native samplers one after another, each up to its step, with the noise left over."""
    latent, start = LATENT, 0
    for end, positive in parts:
        latent = nodes.KSamplerAdvanced().sample(
            model,
            "enable" if start == 0 else "disable",
            5,
            STEPS,
            1.0,
            "euler",
            "simple",
            positive,
            positive,
            latent,
            start,
            end,
            "enable" if end < STEPS else "disable",
        )[0]
        start = end
    return latent["samples"]


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one - other).norm() / other.norm()).item()


def sigmas(model) -> torch.Tensor:
    return custom.BasicScheduler.execute(model, "simple", STEPS, 1.0)[0]


# ---- switches


@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_switch_at_a_step_is_two_chained_runs(model, step):
    expected = chained(model, (step, prompt(1, 1)), (STEPS, prompt(2, 2)))
    assert relative(sampled(model, schedule(f"1\n@{step} 2", f"1\n@{step} 2")), expected) < 2e-6


def test_two_roads_switch_at_different_steps(model):
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


def test_roads_in_different_units(model):
    levels = sigmas(model)
    out = schedule("1\n@2 2", f"1\n@s{levels[4].item():.9g} 2")
    expected = chained(model, (2, prompt(1, 1)), (4, prompt(2, 1)), (STEPS, prompt(2, 2)))
    assert relative(sampled(model, out), expected) < 2e-6
    mixed = schedule("1\n@30% 2", f"1\n@s{levels[4].item():.9g} 2")
    assert has_controls(mixed), "ComfyUI's ranges are in percent or in sigma, so the T5 road travels as a control"


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("unit, values", [("%", (25, 50)), ("s", (0.9, 0.7)), ("%", (0.001, 99.99))])
def test_every_evaluation_has_exactly_one_prompt(model, unit, values, count):
    """Counted where ComfyUI chooses, over sigmas that hit the boundaries, their neighbours, and all else."""
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


# ---- taken out, and parts of a run


def test_the_prompt_at_a_step(model):
    for options in ({}, {"sigmas": sigmas(model)}):
        out = schedule("1\n@3 2", "1\n@2 2\n@5 3", **options)
        for step, (clip_now, t5_now) in enumerate([(1, 1), (1, 1), (1, 2), (2, 2), (2, 2), (2, 3)]):
            (now,) = PromptAt.execute(out, str(step), **options)[0]
            (expected,) = prompt(clip_now, t5_now)
            assert torch.equal(now[0], expected[0]) and now[1].keys() == expected[1].keys()
            assert torch.equal(now[1]["pooled_output"], expected[1]["pooled_output"])
    percents = schedule("1\n@40% 2", "1")
    assert torch.equal(PromptAt.execute(percents, "40%")[0][0][1]["pooled_output"], VECS["vec2"].spans[0].tensor)
    assert torch.equal(PromptAt.execute(percents, "39%")[0][0][1]["pooled_output"], VECS["vec1"].spans[0].tensor)
    with pytest.raises(ValueError, match="connect `model`|connect `sigmas`"):
        PromptAt.execute(percents, "3")


def test_times_that_cannot_be_compared_are_told(model):
    """A sigma range and a step, without the schedule that ties them: not a guess, but what to connect."""
    levels = sigmas(model)
    by_sigma = schedule("1\n@s0.7 2", "1")
    for when in ("3", "40%"):
        with pytest.raises(ValueError, match="connect `sigmas`"):
            PromptAt.execute(by_sigma, when)
    late = PromptAt.execute(by_sigma, str(STEPS - 1), sigmas=levels, model=model)[0]
    assert torch.equal(late[0][1]["pooled_output"], VECS["vec2"].spans[0].tensor)
    by_step = schedule("1\n@3 2", "1")
    with pytest.raises(ValueError, match="connect `sigmas`"):
        PromptAt.execute(by_step, "40%", model=model)


@pytest.mark.parametrize("marks", ["3", "40%", "s0.7", "2..4"])
def test_a_run_s_start_and_end_are_the_same_in_every_unit(marks):
    out = schedule(f"1\n@{marks} 2", "1")
    for when, number in (("0", 1), ("0%", 1), ("s1", 1), ("100%", 2), ("s0", 2)):
        (now,) = PromptAt.execute(out, when)[0]
        assert torch.equal(now[1]["pooled_output"], VECS[f"vec{number}"].spans[0].tensor), when


def test_true_cfg_for_a_part_of_the_run(model):
    """Outside of it the model is asked once, and the picture is that of no guidance."""
    negative = PartOfRun.execute(prompt(3, 2), "1", "3")[0]
    asked = []

    def count(apply_model, args):
        asked.append(len(args["cond_or_uncond"]) * args["input"].shape[0])
        return apply_model(args["input"], args["timestep"], **args["c"])

    counting = model.clone()
    counting.set_model_unet_function_wrapper(count)
    out = sampled(counting, prompt(1, 1), negative, cfg=3.0)
    assert sum(asked) == STEPS + 2
    latent = nodes.KSamplerAdvanced().sample(
        model, "enable", 5, STEPS, 1.0, "euler", "simple", prompt(1, 1), prompt(1, 1), LATENT, 0, 1, "enable"
    )[0]
    latent = nodes.KSamplerAdvanced().sample(
        model, "disable", 5, STEPS, 3.0, "euler", "simple", prompt(1, 1), prompt(3, 2), latent, 1, 3, "enable"
    )[0]
    latent = nodes.KSamplerAdvanced().sample(
        model, "disable", 5, STEPS, 1.0, "euler", "simple", prompt(1, 1), prompt(1, 1), latent, 3, STEPS, "disable"
    )[0]
    assert relative(out, latent["samples"]) < 2e-6
    assert torch.equal(natively(ApplyDuet.execute(model)[0], prompt(1, 1), negative, cfg=3.0), out)
    whole = PartOfRun.execute(prompt(3, 2), "0%", "100%")[0]
    plain = natively(model, prompt(1, 1), prompt(3, 2), cfg=3.0)
    assert torch.equal(natively(model, prompt(1, 1), whole, cfg=3.0), plain)


def test_no_prompt_at_all_is_told(model):
    late = PartOfRun.execute(prompt(1, 1), "3", "100%")[0]
    with pytest.raises(ValueError, match="no prompt is left"):
        sampled(model, late)


# ---- with what else there is


def test_two_samplers_that_share_a_run_count_steps_together(model):
    out = schedule("1\n@3 2", "1\n@4 2")
    first = MMDiTSampler.execute(
        model, out, LATENT, seed=5, steps=STEPS, sampler="euler", scheduler="simple", end_step=2, leftover_noise=True
    )[0]
    both = MMDiTSampler.execute(
        model, out, first, seed=5, steps=STEPS, sampler="euler", scheduler="simple", start_step=2, add_noise=False
    )[0]["samples"]
    assert relative(both, sampled(model, out)) < 2e-6


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m", "uni_pc", "euler_ancestral"])
def test_other_samplers(model, sampler):
    out = sampled(model, schedule("1\n@3 2", "1\n@2..5 2"), sampler=sampler)
    assert out.isfinite().all() and relative(out, sampled(model, prompt(1, 1), sampler=sampler)) > 1e-4


def test_under_sampler_custom_advanced(model):
    out, ready = schedule("1\n@3 2", "1\n@2..5 2"), ApplyDuet.execute(model)[0]
    noise, sampler = custom.RandomNoise.execute(5)[0], custom.KSamplerSelect.execute("euler")[0]
    for guider in (custom.BasicGuider.execute(ready, out)[0], custom.CFGGuider.execute(ready, out, out, 1.0)[0]):
        got = custom.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas(model), LATENT)[0]["samples"]
        assert torch.equal(got, sampled(model, out))


@pytest.mark.parametrize("order", ["easycache first", "apply first"])
def test_with_easycache(model, order):
    """A forward that EasyCache leaves out is no control that had no effect."""
    out = schedule("1\n@3 2", "1\n@2..5 2")

    def cached(model):
        return nodes_easycache.EasyCacheNode.execute(model, 100.0, 0.0, 1.0, False)[0]

    ready = ApplyDuet.execute(cached(model))[0] if order == "easycache first" else cached(ApplyDuet.execute(model)[0])
    got = natively(ready, out)
    assert got.isfinite().all() and relative(got, sampled(model, out)) > 1e-6, "some steps were left out"


def test_streams_of_a_schedule_are_streams(model):
    out = schedule("1\n@3 2", "1\n@2..5 2")
    again = DualPrompt.execute(*SplitConditioning.execute(out).result)[0]
    assert torch.equal(sampled(model, again), sampled(model, out))


def test_the_models_options_are_as_before(model, monkeypatch):
    """After a run, an interrupted and a failed one."""

    def state():
        return repr(model.model_options), {k: dict(v) for k, v in model.wrappers.items()}, dict(model.object_patches)

    before = state()
    out = schedule("1\n@3 2", "1\n@2..5 2")
    sampled(model, out)
    calls = []

    def stop(x, t, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise comfy.model_management.InterruptProcessingException
        return forward(x, t, *args, **kwargs)

    flux = model.model.diffusion_model
    forward = flux._forward
    monkeypatch.setattr(flux, "_forward", stop)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sampled(model, out)
    monkeypatch.undo()
    assert state() == before and torch.equal(natively(model, prompt(1, 1)), sampled(model, prompt(1, 1)))


# ---- what a schedule does not take


@pytest.mark.parametrize(
    "clip, words",
    [
        ("3", "says '3', expected the number of a connected prompt: 1, 2"),
        ("a cat", "expected the number"),
        ("1", "prompt 2 is connected, but its timeline never names it"),
    ],
)
def test_numbers_that_name_nothing_are_told(clip, words):
    with pytest.raises(ValueError, match=words):
        Schedule.execute({"vec1": vec(1), "vec2": vec(2)}, {"txt1": TXTS["txt1"]}, clip, "1")


def test_what_is_scheduled_already_is_told():
    vecs = SplitConditioning.execute(schedule("1\n@40% 2", "1"))[0]
    with pytest.raises(ValueError, match="holds 2 encodings, each for a part of the run"):
        Schedule.execute({"vec1": vecs, "vec2": vec(2)}, {"txt1": TXTS["txt1"]}, "1\n@3 2", "1")
