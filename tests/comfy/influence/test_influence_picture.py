"""Encoder Influence leaves the picture unchanged, with controls too."""

import json

import comfy.model_management
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom
from comfy_extras.nodes_easycache import EasyCacheNode as easycache

from flux_duet.nodes.condition.blend.nodes import ClipNegative
from flux_duet.nodes.condition.nodes import SplitConditioning
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.condition.time.nodes import PartOfRun, Schedule
from flux_duet.nodes.probe.influence.effects import effects, pooled
from flux_duet.nodes.probe.influence.nodes import BOTH, EMPTY, ShowInfluence
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy.influence.runs import (
    LATENT,
    NO_TXT,
    NO_VEC,
    STEPS,
    TXT,
    VEC,
    by_hand,
    check,
    four_prompts,
    measured,
    natively,
    prompt,
    sampled,
)
from flux_duet.tests.comfy.inputs import txt, vec

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def advanced(model, positive, negative=None, latent=LATENT, cfg=1.0, steps=STEPS) -> dict:
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative or positive)
    guider.set_cfg(cfg)
    if negative is None:
        guider = custom.BasicGuider.execute(model, positive)[0]
    return custom.SamplerCustomAdvanced.execute(
        custom.RandomNoise.execute(5)[0],
        guider,
        custom.KSamplerSelect.execute("euler")[0],
        custom.BasicScheduler.execute(model, "simple", steps, 1.0)[0],
        latent,
    )[0]


# ---- the picture stays the same


@pytest.mark.parametrize("sampler", [sampled, natively, advanced], ids=["MMDiT Sampler", "KSampler", "advanced"])
@pytest.mark.parametrize("negative", [None, prompt(vec(7), txt(8, 13))], ids=["alone", "cfg"])
def test_the_picture_is_the_same_to_the_last_bit(model, sampler, negative):
    cfg = 1.0 if negative is None else 3.0
    out, probe = measured(model, BOTH)
    on = sampler(out, prompt(), negative, cfg=cfg)
    off = sampler(model, prompt(), negative, cfg=cfg)
    assert torch.equal(on["samples"], off["samples"])
    assert len(probe.reading(on).moments) == STEPS


@pytest.mark.parametrize("name", ["heun", "dpmpp_2m_sde", "euler_ancestral"])
def test_with_other_samplers_each_step_once(model, name):
    out, probe = measured(model)
    on, off = (sampled(each, prompt(), sampler=name) for each in (out, model))
    assert torch.equal(on["samples"], off["samples"])
    assert [moment.step for moment in probe.reading(on).moments] == list(range(STEPS))


def test_every_kth_step_at_its_sigma(model):
    out, probe = measured(model, every=3)
    reading = probe.reading(sampled(out, prompt(), steps=8))
    sigmas = custom.BasicScheduler.execute(model, "simple", 8, 1.0)[0]
    assert [(moment.step, moment.sigma) for moment in reading.moments] == [(at, float(sigmas[at])) for at in (0, 3, 6)]
    assert reading.rows == (8, 12) and reading.times == pytest.approx(20 / 8)
    at = model.get_model_object("model_sampling").percent_to_sigma
    assert all(at(moment.percent / 100) == pytest.approx(moment.sigma, rel=1e-4) for moment in reading.moments)


def test_easycache_keeps_its_picture_and_left_out_steps_are_not_measured(model):
    cached = easycache.execute(model, 100.0, 0.0, 1.0, False)[0]
    for out, probe in (measured(cached),):
        on, off = (sampled(each, prompt(), steps=6) for each in (out, cached))
        assert torch.equal(on["samples"], off["samples"])
        assert 0 < len(probe.reading(on).moments) < 6


# ---- prompts with controls


def half() -> torch.Tensor:
    mask = torch.zeros(1, 16, 16)
    mask[..., :8] = 1
    return mask


def controlled() -> dict[str, list]:
    weighted = txt(2, 9, bias=torch.linspace(-1, 1, 9)[None])
    timeline = Schedule.execute(
        {"vec1": VEC, "vec2": vec(6)}, {"txt1": TXT, "txt2": txt(7, 13)}, "1\n@2 2", "1\n@1..3 2", 3.5
    )[0]
    region = Region.execute(TXT, txt(5, 13), half())[0]
    return {
        "weights": prompt(t5=weighted),
        "region": prompt(t5=region),
        "negative": prompt(t5=NegativeTxt.execute(region, txt(6, 7))[0]),
        "clip negative": prompt(ClipNegative.execute(VEC, vec(6), 2.0, blocks="1-")[0], weighted),
        "route": Route.execute(prompt(), prompt(vec(6), txt(7, 13)), "1, 3", "2-3")[0],
        "schedule": timeline,
    }


@pytest.mark.parametrize("name", controlled())
@pytest.mark.parametrize("sampler", [sampled, natively], ids=["sampled", "natively"])
def test_controls_go_with_their_stream(model, name, sampler):
    """Each stream's null also removes that stream's controls, and keeps the other's."""
    positive = controlled()[name]
    base = model if sampler is sampled else ApplyDuet.execute(model)[0]
    out, probe = measured(base)
    on, off = (sampler(each, positive) for each in (out, base))
    assert torch.equal(on["samples"], off["samples"])
    if name == "schedule":
        return
    clip, t5, _ = SplitConditioning.execute(positive).result
    prompts = {"v11": positive, "v10": prompt(NO_VEC, t5), "v01": prompt(clip, NO_TXT), "v00": prompt(NO_VEC, NO_TXT)}
    check(probe.reading(on), by_hand(ApplyDuet.execute(model)[0], LATENT, prompts))
    assert probe.reading(on).floor("whole run") < 1e-5, "evaluated again, its controls act as before"


def test_the_floor_is_what_the_model_answers_differently_when_asked_again(model):
    """Noise of a tenth of the prompts' effect is reported; with more noise than effect, the shares are meaningless."""
    out, probe = measured(model)
    clean = probe.reading(sampled(out, prompt()))
    effect = clean.numbers("whole run", EMPTY)["whole"]
    for noise, small in ((0.1 * effect, False), (2 * effect, True)):
        out, probe = measured(noisy(model, noise))
        text, *_, data = ShowInfluence.execute(probe, sampled(out, prompt())).result[4:]
        # Both evaluations have independent noise, which also increases the velocity's length.
        assert json.loads(data)["floor"]["whole run"] == pytest.approx(noise * (2 / (1 + noise**2)) ** 0.5, rel=0.1)
        assert text.startswith("The effects are too small") is small and "evaluating the same prompt again" in text


def noisy(model, share: float):
    """A model whose evaluations have random noise of this share of the velocity's length."""
    changed, draw = model.clone(), torch.Generator().manual_seed(0)

    def around(executor, x, t, *args, **kwargs):
        out = executor(x, t, *args, **kwargs)  # the picture x0 = x - sigma v
        velocity = (x - out) / t.reshape(-1, 1, 1, 1)
        noise = torch.randn(velocity.shape, generator=draw)
        noise *= share * velocity.flatten(1).norm(dim=1)[:, None, None, None] / noise[0].numel() ** 0.5
        return out + noise * t.reshape(-1, 1, 1, 1)

    changed.add_wrapper("apply_model", around)
    return changed


def test_a_schedule_is_measured_as_it_is_at_each_step(model):
    out, probe = measured(model)
    reading = probe.reading(sampled(out, controlled()["schedule"]))
    # x_t of the scheduled run at its last step, where both streams have switched to their second prompts.
    later = four_prompts(clip=vec(6), t5=txt(7, 13))
    run = by_hand(ApplyDuet.execute(model)[0], LATENT, {**later, "v11": controlled()["schedule"]}, each=later)
    seen = pooled([reading.moments[-1].effects[EMPTY]])
    assert seen == pytest.approx(pooled([effects(*run[-1].values())]), rel=2e-4, abs=2e-5)


def test_a_prompt_that_rests_has_no_part(model):
    """Limited to a part of the run; outside of it nothing is evaluated again."""
    positive = PartOfRun.execute(prompt(), "0%", "2")[0]
    out, probe = measured(model)
    on, off = (sampled(each, positive, prompt(vec(7), txt(8, 13)), cfg=2.0) for each in (out, model))
    assert torch.equal(on["samples"], off["samples"])
    assert [moment.step for moment in probe.reading(on).moments] == [0, 1]
