"""Switch Sweep in the real model: each of its pictures is the schedule's that switches there, at half of the cost."""

import json

import comfy.hooks
import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy_extras.nodes_flux import FluxKVCache

from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.condition.place.nodes import Region
from flux_duet.nodes.condition.time.nodes import Schedule
from flux_duet.nodes.probe.sweep.distances import between, decided, distances
from flux_duet.nodes.probe.sweep.nodes import SwitchSweep
from flux_duet.nodes.probe.sweep.switched_prompt import left_behind, switched
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.nodes.streams import ClipVec, Span, T5Text
from flux_duet.tests.comfy import extras

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS, SEED = 6, 5
LATENT = {"samples": torch.zeros(1, 16, 8, 8)}


@pytest.fixture(scope="module")
def model(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


@pytest.fixture(scope="module")
def vae(tiny):
    return comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(tiny["ae"])))


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def vec(seed: int) -> ClipVec:
    return ClipVec((Span(randn(seed, 1, 64)),))


def txt(seed: int, length: int, weighted: bool = False) -> T5Text:
    bias = randn(seed + 100, 1, length).clamp(-2, 2) if weighted else None
    return T5Text((Span(randn(seed, 1, length, 64), bias=bias),))


def regional(seed: int, length: int) -> T5Text:
    mask = torch.zeros(1, 8, 8)
    mask[:, :, 4:] = 1
    return Region.execute(txt(seed, length), txt(seed + 50, 5), mask, 2.0, 0.3)[0]


STREAMS = {
    "plain": (txt(4, 9), txt(5, 9)),
    "unequal lengths": (txt(4, 9), txt(5, 13)),
    "weights": (txt(4, 9, weighted=True), txt(5, 13, weighted=True)),
    "a region in b": (txt(4, 9), regional(5, 13)),
    "regions in both": (regional(4, 9), regional(5, 9)),
}
VECS = vec(1), vec(2)


def swept(model, a, b, switch="T5", steps=STEPS, scheduler="simple", latent=LATENT, sampler="euler", **options):
    return SwitchSweep.execute(model, a, b, switch, latent, SEED, steps, sampler, scheduler, **options).result


def sampled(model, positive, scheduler="simple", latent=LATENT) -> torch.Tensor:
    return MMDiTSampler.execute(
        model, positive, latent, None, seed=SEED, steps=STEPS, sampler="euler", scheduler=scheduler, denoise=1.0
    )[0]["samples"]


def scheduled(txts, switch: str, step: int) -> list:
    """What Prompt Schedule gives for a switch before this step."""
    if step == STEPS:
        return join(VECS[0], txts[0], 3.5)
    turns = {road: switch in (road, "both") for road in ("CLIP", "T5")}
    if step == 0:
        return join(VECS[turns["CLIP"]], txts[turns["T5"]], 3.5)
    vecs = {f"vec{n + 1}": VECS[n] for n in range(2 if turns["CLIP"] else 1)}
    named = {f"txt{n + 1}": txts[n] for n in range(2 if turns["T5"] else 1)}
    timelines = [f"1\n@{step} 2" if turns[road] else "1" for road in ("CLIP", "T5")]
    return Schedule.execute(vecs, named, *timelines)[0]


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one - other).norm() / other.norm()).item()


@pytest.mark.parametrize("switch", ["T5", "CLIP", "both"])
@pytest.mark.parametrize("kind", STREAMS)
def test_every_picture_is_the_schedules(model, switch, kind):
    txts = STREAMS[kind]
    a, b = (join(v, t, 3.5) for v, t in zip(VECS, txts, strict=True))
    samples = swept(model, a, b, switch)[1]["samples"]
    assert len(samples) == STEPS + 1
    for step in range(STEPS + 1):
        expected = sampled(model, scheduled(txts, switch, step))
        assert relative(samples[step : step + 1], expected) < 2e-6, f"switched at {step}"
    assert relative(samples[:1], samples[-1:]) > 1e-4, "the two prompts must differ for this to mean anything"


def test_timelines_and_ranges_inside_the_prompts_see_the_whole_run(model):
    """B has a timeline of its own: its step 4 is the run's, not that of what is left after the switch."""
    fading = Schedule.execute({"vec1": VECS[1]}, {"txt1": txt(5, 13), "txt2": txt(6, 9)}, "1", "1\n@2..4 2")[0]
    a = join(VECS[0], txt(4, 9), 3.5)
    samples = swept(model, a, fading, "both")[1]["samples"]
    assert relative(samples[:1], sampled(model, fading)) < 2e-6
    part = MMDiTSampler.execute(
        model,
        a,
        LATENT,
        None,
        seed=SEED,
        steps=STEPS,
        sampler="euler",
        scheduler="simple",
        denoise=1.0,
        end_step=3,
        leftover_noise=True,
    )[0]
    rest = MMDiTSampler.execute(
        model,
        fading,
        part,
        None,
        seed=SEED,
        steps=STEPS,
        sampler="euler",
        scheduler="simple",
        denoise=1.0,
        start_step=3,
        add_noise=False,
    )[0]["samples"]
    assert relative(samples[3:4], rest) < 2e-6


@pytest.mark.parametrize("scheduler", ["official", "beta"])
def test_other_schedules_and_a_mask(model, scheduler):
    txts = STREAMS["unequal lengths"]
    a, b = (join(VECS[0], t, 3.5) for t in txts)
    mask = torch.zeros(1, 64, 64)
    mask[:, 16:] = 1
    latent = {"samples": randn(9, 1, 16, 8, 8), "noise_mask": mask}
    samples = swept(model, a, b, scheduler=scheduler, latent=latent, batch=3)[1]["samples"]
    for step in (0, 2, STEPS):
        expected = sampled(model, scheduled(txts, "T5", step), scheduler, latent)
        assert relative(samples[step : step + 1], expected) < 2e-6


def counting(model) -> tuple:
    """A clone of the model, and the rows of each evaluation."""
    rows = []

    def count(apply_model, args):
        rows.append(args["input"].shape[0])
        return apply_model(args["input"], args["timestep"], **args["c"])

    model = model.clone()
    model.set_model_unet_function_wrapper(count)
    return model, rows


@pytest.mark.parametrize("every, batch", [(1, 1), (1, 4), (1, 64), (2, 4), (4, 3)])
def test_shared_beginnings_are_computed_once(model, every, batch):
    watched, rows = counting(model)
    a, b = (join(VECS[0], t, 3.5) for t in STREAMS["unequal lengths"])
    _, latents, _, told, _ = swept(watched, a, b, every=every, batch=batch)
    expected = STEPS + sum(STEPS - k for k in range(0, STEPS, every))
    if every == 1:
        assert expected == STEPS + STEPS * (STEPS + 1) // 2 < STEPS * (STEPS + 1)
    assert sum(rows) == expected == json.loads(told)["rows_evaluated"]["all"]
    assert max(rows) <= batch
    switches = [run["switch_at"] for run in json.loads(told)["runs"]]
    assert switches == [*range(0, STEPS, every), STEPS] and len(latents["samples"]) == len(switches)


def test_evaluations_for_twenty_steps(model):
    watched, rows = counting(model)
    a, b = (join(VECS[0], t, 3.5) for t in STREAMS["plain"])
    swept(watched, a, b, steps=20, batch=16)
    assert sum(rows) == 20 + 210


def test_what_comes_out(model, vae):
    a, b = (join(VECS[0], t, 3.5) for t in STREAMS["unequal lengths"])
    for options in ({"vae": vae}, {}):
        strip, latents, curve, told, sentence = swept(model, a, b, **options)
        for image in (strip, curve):
            assert image.ndim == 4 and image.shape[-1] == 3 and 0 <= image.min() and image.max() <= 1
        told = json.loads(told)
        assert set(told["decided"]) == ({"latents", "pixels"} if options else {"latents"})
        step = told["decided"]["latents"]["step"]
        assert f"decided at step {step:.1f} of 6 (sigma" in sentence and "a T5 prompt that comes later" in sentence
        assert "noise_mask" not in latents
        ends = [told["runs"][0]["latents"], told["runs"][-1]["latents"]]
        assert ends[0] == {"to_a": pytest.approx(1), "to_b": 0, "way": pytest.approx(1)}
        assert ends[1] == {"to_a": 0, "to_b": pytest.approx(1), "way": 0}


def test_one_prompt_twice_has_no_decision(model):
    a = join(VECS[0], STREAMS["plain"][0], 3.5)
    *_, told, sentence = swept(model, a, a)
    assert "the same picture" in sentence and json.loads(told)["decided"] == {"latents": None}


# ---- what native nodes put beside the prompts


def native(v: int, t: int) -> list:
    return join(VECS[v], STREAMS["unequal lengths"][t], 3.5)


def chained(model, first: list, then: list, step: int) -> torch.Tensor:
    """Two samplers share the run: the one's prompt until this step, the other's from it on."""
    if step in (0, STEPS):
        return sampled(model, then if step == 0 else first)
    plan = {"seed": SEED, "steps": STEPS, "sampler": "euler", "scheduler": "simple", "denoise": 1.0}
    part = MMDiTSampler.execute(model, first, LATENT, None, **plan, end_step=step, leftover_noise=True)[0]
    return MMDiTSampler.execute(model, then, part, None, **plan, start_step=step, add_noise=False)[0]["samples"]


def check_sweep(model, a: list, b: list, switch: str, after: list) -> str:
    """Every picture is that of two samplers in a row, the second with `after`; the sentence."""
    _, latents, *_, sentence = swept(model, a, b, switch)
    for step in (0, 2, STEPS):
        assert relative(latents["samples"][step : step + 1], chained(model, a, after, step)) < 5e-6, f"at {step}"
    return sentence


def beside(model) -> dict:
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
    """They hold the same, though not as the same objects: that was refused, with words about `vec` and `txt`."""
    put = beside(model)[name]
    after = put(native(switch != "T5", switch != "CLIP"))
    sentence = check_sweep(model, put(native(0, 0)), put(native(1, 1)), switch, after)
    assert "did not count" not in sentence
    assert relative(sampled(model, after), sampled(model, native(switch != "T5", switch != "CLIP"))) > 1e-4


def test_where_they_differ_as_extras_stay(model):
    """And the sentence says which of B's did not count."""
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
    with pytest.raises(ValueError, match="Switch Sweep: `b` holds 2 prompts that are told apart by masks"):
        swept(watched, native(0, 0), b)
    with pytest.raises(ValueError, match="Switch Sweep: `a` holds 2 encodings and `b` 3"):
        swept(watched, a, native(1, 1) * 3)
    assert not rows, "before sampling begins"


def test_hooks_stay_as_as_all_that_is_as(model):
    a, b = extras.hooked(native(0, 0), 1), extras.hooked(native(1, 1), 3)
    after = comfy.hooks.set_hooks_for_conditioning(native(0, 1), a[0][1]["hooks"])
    check_sweep(model, a, b, "T5", after)
    assert relative(sampled(model, after), sampled(model, native(0, 1))) > 1e-4, "the LoRA counts"


# ---- what is refused


@pytest.mark.parametrize(
    "sampler, words",
    [
        ("heun", "evaluates the model twice"),
        ("euler_ancestral", "fresh noise"),
        ("dpmpp_2m_sde", "fresh noise"),
        ("uni_pc", "may carry"),
        ("dpmpp_2m", "may carry"),
    ],
)
def test_samplers_that_cannot_be_swept_are_told_before_the_run(model, sampler, words):
    assert words in SwitchSweep.validate_inputs(sampler=sampler)
    a = join(VECS[0], STREAMS["plain"][0], 3.5)
    with pytest.raises(ValueError, match=words):
        swept(model, a, a, sampler=sampler)
    assert SwitchSweep.validate_inputs(sampler="euler") is True and SwitchSweep.validate_inputs(sampler=None) is True


def test_batches_are_told(model):
    a = join(VECS[0], STREAMS["plain"][0], 3.5)
    with pytest.raises(ValueError, match="with 2 pictures, expected one"):
        swept(model, a, a, latent={"samples": torch.zeros(2, 16, 8, 8)})
    two = join(ClipVec((Span(randn(1, 2, 64)),)), T5Text((Span(randn(2, 2, 9, 64)),)), 3.5)
    with pytest.raises(ValueError, match="`b` holds 2 prompts"):
        swept(model, a, two, "both")


# ---- interruption, and what is left behind


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


def test_where_both_have_hooks_a_sweep_keeps_as():
    """Two prompts, each with a LoRA of its own by a hook: after the switch B's T5 prompt plays under A's LoRA."""
    plain = [join(VECS[number], STREAMS["plain"][number], 3.5) for number in range(2)]
    a, b = (extras.hooked(each, seed) for each, seed in zip(plain, (1, 2), strict=True))
    for road in ("T5", "CLIP"):
        assert switched(a, b, road)[0][1]["hooks"] is a[0][1]["hooks"]
        assert "B's own hooks did not count" in left_behind(a, b, road)
        assert switched(plain[0], b, road)[0][1]["hooks"] is b[0][1]["hooks"], "which came with its encoder"
        assert not left_behind(plain[0], b, road)


def test_flux_kv_cache_is_refused_before_anything_is_drawn(model, monkeypatch):
    a, b = (extras.referred(join(VECS[number], STREAMS["plain"][number], 3.5)) for number in range(2))
    monkeypatch.setattr(model.model.diffusion_model, "_forward", lambda *_, **__: pytest.fail("it was drawn"))
    with pytest.raises(ValueError, match="Flux KV Cache keeps.*Sweep without"):
        swept(FluxKVCache.execute(model)[0], a, b)
