"""Encoder Influence in the real model: its velocities against runs by hand, and a picture that stays the same."""

import json

import comfy.model_management
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom
from comfy_extras.nodes_easycache import EasyCacheNode as easycache

import nodes
from flux_duet.nodes.condition.attn_masks import replaced
from flux_duet.nodes.condition.blend.nodes import ClipNegative
from flux_duet.nodes.condition.controls import TXT as TXT_ROAD
from flux_duet.nodes.condition.controls import VEC as VEC_ROAD
from flux_duet.nodes.condition.nodes import DualPrompt, SplitConditioning
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.condition.time.nodes import PartOfRun, Schedule
from flux_duet.nodes.probe.influence.effects import effects, pooled
from flux_duet.nodes.probe.influence.nodes import BOTH, EMPTY, ZEROS, Influence, ShowInfluence
from flux_duet.nodes.probe.replace_prompt import Null
from flux_duet.nodes.sample.nodes import ApplyDuet, MMDiTSampler
from flux_duet.nodes.streams import ClipVec, Span, T5Text
from flux_duet.tests.comfy.extras import redux

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS, SIDE = 4, 8
LATENT = {"samples": torch.zeros(1, 16, SIDE, SIDE)}
PAIR = {"samples": torch.zeros(2, 16, SIDE, SIDE)}


@pytest.fixture(scope="module")
def model(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def vec(seed: int) -> ClipVec:
    return ClipVec((Span(randn(seed, 1, 64)),))


def txt(seed: int, length: int = 9, bias: torch.Tensor | None = None) -> T5Text:
    return T5Text((Span(randn(seed, 1, length, 64), bias=bias),))


VEC, TXT, NO_VEC, NO_TXT = vec(1), txt(2), vec(3), txt(4)
ZERO_VEC, ZERO_TXT = (ClipVec((Span(torch.zeros(1, 64)),)), T5Text((Span(torch.zeros(1, 9, 64)),)))


def prompt(clip=VEC, t5=TXT) -> list:
    return DualPrompt.execute(clip, t5, 3.5)[0]


def sampled(model, positive, negative=None, latent=LATENT, cfg=1.0, steps=STEPS, **options) -> dict:
    return MMDiTSampler.execute(
        model,
        positive,
        latent,
        negative,
        cfg=cfg,
        seed=5,
        steps=steps,
        **{"sampler": "euler", "scheduler": "simple", **options},
    )[0]


def natively(model, positive, negative=None, latent=LATENT, cfg=1.0, steps=STEPS) -> dict:
    return nodes.KSampler().sample(
        model, 5, steps, cfg, "euler", "simple", positive, negative or positive, latent, 1.0
    )[0]


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


def measured(model, null=EMPTY, every=1, empty_vec=NO_VEC, empty_txt=NO_TXT, blocks="", txt=None):
    return Influence.execute(model, null, every, empty_vec, empty_txt, blocks, txt).result


def velocities(model, ways: dict, x: torch.Tensor, sigma: float) -> dict[str, torch.Tensor]:
    """(x - x0) / sigma of each prompt by itself: a native sampler's single step from x at sigma down to 0."""
    out = {}
    for name, positive in ways.items():
        guider = custom.BasicGuider.execute(model, positive)[0]
        # Noise at sigma over an empty picture is sigma * noise; a step of Euler's down to 0 gives x0.
        samples = guider.sample(
            x / sigma,
            torch.zeros_like(x),
            comfy.samplers.sampler_object("euler"),
            torch.tensor([sigma, 0.0]),
            disable_pbar=True,
            seed=0,
        )
        out[name] = (x - model.model.process_latent_in(samples)) / sigma
    return out


def by_hand(model, latent: dict, ways: dict, each: dict | None = None) -> list[dict[str, torch.Tensor]]:
    """The same at each step of the run of v11, whose x_t a callback catches; with `each`, of these prompts instead."""
    seen = []
    guider = custom.BasicGuider.execute(model, ways["v11"])[0]
    sigmas = custom.BasicScheduler.execute(model, "simple", STEPS, 1.0)[0]
    noise = comfy.sample.prepare_noise(latent["samples"], 5)
    guider.sample(
        noise,
        latent["samples"],
        comfy.samplers.sampler_object("euler"),
        sigmas,
        seed=5,
        disable_pbar=True,
        callback=lambda step, x0, x, total: seen.append(x.clone()),
    )
    ways = {**ways, **(each or {})}
    return [velocities(model, ways, x, float(sigma)) for x, sigma in zip(seen, sigmas[:-1], strict=True)]


def ways(no_vec=NO_VEC, no_txt=NO_TXT, clip=VEC, t5=TXT) -> dict:
    return {
        "v11": prompt(clip, t5),
        "v10": prompt(no_vec, t5),
        "v01": prompt(clip, no_txt),
        "v00": prompt(no_vec, no_txt),
    }


def check(reading, expected: list[dict], null=EMPTY, rel=2e-4) -> None:
    """Every number of every step."""
    assert len(reading.moments) == STEPS
    for moment, by in zip(reading.moments, expected, strict=True):
        assert pooled([moment.effects[null]]) == pytest.approx(pooled([effects(*by.values())]), rel=rel, abs=2e-5)


# ---- the velocities are those of runs by hand


@pytest.mark.parametrize("latent", [LATENT, PAIR], ids=["one", "batch of 2"])
@pytest.mark.parametrize("length", [9, 21], ids=["equal lengths", "unequal lengths"])
def test_four_velocities_as_of_four_runs(model, latent, length):
    nothing = txt(4, length)
    out, probe = measured(model, empty_txt=nothing)
    reading = probe.reading(sampled(out, prompt(), latent=latent))
    check(reading, by_hand(model, latent, ways(no_txt=nothing)))
    assert reading.moments[0].effects[EMPTY].maps.shape == (2, len(latent["samples"]), SIDE, SIDE)
    assert reading.lengths == (None if length == 9 else (9, 21))


def test_an_empty_prompt_of_another_length_is_said(model):
    """Its length alone moved CLIP's share from 1.2 % to 0.31 %, in silence."""
    for null, positive, lengths in ((txt(4, 21), prompt(), (9, 21)), (txt(4, 7), redux(prompt()), (9, 7)),
                                    (NO_TXT, prompt(), None), (NO_TXT, redux(prompt()), None)):  # fmt: skip
        out, probe = measured(model, BOTH, empty_txt=null, txt=TXT)
        told, *_, data = ShowInfluence.execute(probe, sampled(out, positive)).result[4:]
        said = "The T5 prompt has {} rows and the empty one {}: ".format(*lengths) if lengths else "and the empty one"
        assert (said in told) is (lengths is not None)
        assert json.loads(data)["t5_lengths"] == (lengths and {"prompt": lengths[0], "empty": lengths[1]})
    out, probe = measured(model, ZEROS, empty_txt=txt(4, 21))
    assert probe.reading(sampled(out, prompt())).lengths is None


def test_both_nulls_each_for_itself(model):
    out, probe = measured(model, BOTH)
    reading = probe.reading(sampled(out, prompt()))
    check(reading, by_hand(model, LATENT, ways()))
    check(reading, by_hand(model, LATENT, ways(ZERO_VEC, ZERO_TXT)), ZEROS)
    assert reading.rows == (STEPS, 7 * STEPS) and reading.times == 8


def test_zeros_need_no_empty_prompts(model):
    out, probe = measured(model, ZEROS, empty_vec=None, empty_txt=None)
    check(probe.reading(sampled(out, prompt())), by_hand(model, LATENT, ways(ZERO_VEC, ZERO_TXT)), ZEROS)
    with pytest.raises(ValueError, match="empty_txt is not connected.*zeros"):
        measured(model, EMPTY, empty_txt=None)


def test_with_cfg_and_a_negative_the_positive_is_measured(model):
    """At the first step, where all runs have the same x_t."""
    out, probe = measured(model)
    both = probe.reading(sampled(out, prompt(), prompt(vec(7), txt(8, 13)), cfg=3.0))
    alone = probe.reading(sampled(out, prompt()))
    assert both.rows == (2 * STEPS, 4 * STEPS)
    for one, other in zip(both.moments[:1], alone.moments, strict=False):
        assert pooled([one.effects[EMPTY]]) == pytest.approx(pooled([other.effects[EMPTY]]), rel=1e-4)
    assert pooled([both.moments[2].effects[EMPTY]]) != pytest.approx(pooled([alone.moments[2].effects[EMPTY]]), 1e-3)


def test_with_a_lora(model):
    lora = {
        f"diffusion_model.{layer}.{side}.weight": randn(seed, *shape)
        for layer, width in (("single_blocks.0.linear2", 640), ("double_blocks.1.img_attn.proj", 128))
        for seed, side, shape in ((1, "lora_up", (128, 2)), (2, "lora_down", (2, width)))
    }
    patched = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)[0]
    expected = by_hand(patched, LATENT, ways())
    out, probe = measured(model)
    for behind in (comfy.sd.load_lora_for_models(out, None, lora, 1.0, 0.0)[0], None):
        if behind is None:
            behind, probe = measured(patched)
        latent = sampled(behind, prompt())
        assert torch.equal(latent["samples"], sampled(patched, prompt())["samples"])
        check(probe.reading(latent), expected)


# ---- what is nothing is exactly nothing


def test_the_null_itself_is_not_asked(model):
    for clip, t5, asked, zero in ((NO_VEC, TXT, 1, "clip"), (VEC, NO_TXT, 1, "t5"), (NO_VEC, NO_TXT, 0, "clip")):
        out, probe = measured(model)
        reading = probe.reading(sampled(out, prompt(clip, t5)))
        assert reading.rows == (STEPS, (asked and asked + 1) * STEPS)
        numbers = reading.numbers("whole run", EMPTY)
        assert (numbers[f"D_{zero}"], numbers[f"solo_{zero}"], numbers["interaction"]) == (0, 0, 0)
        assert numbers[f"share_{zero}"] in (0, None)


def test_shares_add_up(model):
    out, probe = measured(model, BOTH)
    data = json.loads(ShowInfluence.execute(probe, sampled(out, prompt()))[6])
    for row in data["per_step"]:
        assert row["share_clip"] + row["share_t5"] == pytest.approx(1, abs=1e-12)
    for shares in data["modulation"]["shares"].values():
        assert sum(shares[name] for name in ("time", "guidance", "clip")) == pytest.approx(1, abs=1e-5)


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
@pytest.mark.parametrize("sampler", [sampled, natively])
def test_controls_go_with_their_road(model, name, sampler):
    """Each road's null takes that road's controls with it, and leaves the other's."""
    positive = controlled()[name]
    base = model if sampler is sampled else ApplyDuet.execute(model)[0]
    out, probe = measured(base)
    on, off = (sampler(each, positive) for each in (out, base))
    assert torch.equal(on["samples"], off["samples"])
    if name == "schedule":
        return
    clip, t5, _ = SplitConditioning.execute(positive).result
    told = {"v11": positive, "v10": prompt(NO_VEC, t5), "v01": prompt(clip, NO_TXT), "v00": prompt(NO_VEC, NO_TXT)}
    check(probe.reading(on), by_hand(ApplyDuet.execute(model)[0], LATENT, told))
    assert probe.reading(on).floor("whole run") < 1e-5, "asked again, its controls act as before"


def test_the_floor_is_what_the_model_answers_differently_when_asked_again(model):
    """Noise of a tenth of the prompts' effect reads as such; noise larger than it makes the shares meaningless."""
    out, probe = measured(model)
    clean = probe.reading(sampled(out, prompt()))
    effect = clean.numbers("whole run", EMPTY)["whole"]
    for noise, small in ((0.1 * effect, False), (2 * effect, True)):
        out, probe = measured(noisy(model, noise))
        told, *_, data = ShowInfluence.execute(probe, sampled(out, prompt())).result[4:]
        # Each of the two answers has noise of its own, which lengthens the velocity too.
        assert json.loads(data)["floor"]["whole run"] == pytest.approx(noise * (2 / (1 + noise**2)) ** 0.5, rel=0.1)
        assert told.startswith("Too small to tell who decides.") is small and "the same prompt asked again" in told


def noisy(model, share: float):
    """A model whose answers differ from one asking to the next by so much of their velocity's length."""
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
    # x_t of the scheduled run at its last step, where both roads have come to their second prompts.
    later = ways(clip=vec(6), t5=txt(7, 13))
    run = by_hand(ApplyDuet.execute(model)[0], LATENT, {**later, "v11": controlled()["schedule"]}, each=later)
    seen = pooled([reading.moments[-1].effects[EMPTY]])
    assert seen == pytest.approx(pooled([effects(*run[-1].values())]), rel=2e-4, abs=2e-5)


def test_a_prompt_that_rests_has_no_part(model):
    """Limited to a part of the run; outside of it nothing is asked."""
    positive = PartOfRun.execute(prompt(), "0%", "2")[0]
    out, probe = measured(model)
    on, off = (sampled(each, positive, prompt(vec(7), txt(8, 13)), cfg=2.0) for each in (out, model))
    assert torch.equal(on["samples"], off["samples"])
    assert [moment.step for moment in probe.reading(on).moments] == [0, 1]


# ---- rows that are not the prompt's

KINDS = {"multiply": ("multiply", 1.0), "stronger": ("multiply", 1.5), "attn_bias": ("attn_bias", 0.4)}


@pytest.mark.parametrize("kind", KINDS)
def test_two_empty_prompts_change_exactly_nothing_beside_redux(model, kind):
    """It blamed T5's prompt for the picture: "T5 decides everything"."""
    out, probe = measured(model)
    latent = sampled(out, redux(prompt(NO_VEC, NO_TXT), *KINDS[kind]))
    told = ShowInfluence.execute(probe, latent)[4]
    assert "both change exactly nothing" in told and "count as" not in told
    assert probe.reading(latent).rows == (STEPS, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [9, 7, 21], ids=["equal lengths", "shorter", "longer"])
def test_reduxs_rows_stay_and_their_weights_with_them(model, kind, length):
    """Each velocity is that of StyleModelApply on the prompt's, or the empty prompt's, CONDITIONING."""
    nothing = txt(4, length)
    told = {way: redux(each, *KINDS[kind]) for way, each in ways(no_txt=nothing).items()}
    out, probe = measured(model, empty_txt=nothing, txt=TXT)
    on, off = (sampled(each, told["v11"]) for each in (out, model))
    assert torch.equal(on["samples"], off["samples"])
    check(probe.reading(on), by_hand(model, LATENT, told))
    assert probe.reading(on).counted == 0


def test_zeros_stand_in_the_prompts_rows_alone(model):
    out, probe = measured(model, ZEROS, txt=TXT)
    told = {way: redux(each) for way, each in ways(ZERO_VEC, ZERO_TXT).items()}
    check(probe.reading(sampled(out, told["v11"])), by_hand(model, LATENT, told), ZEROS)


def test_against_zeros_too_the_empty_prompts_rows_alone_are_taken_away(model):
    out, probe = measured(model, BOTH)
    reading = probe.reading(sampled(out, redux(prompt(NO_VEC, NO_TXT))))
    assert reading.numbers("whole run", EMPTY)["whole"] == 0
    told = {way: redux(each) for way, each in ways(ZERO_VEC, ZERO_TXT, NO_VEC, NO_TXT).items()}
    check(reading, by_hand(model, LATENT, told), ZEROS)


@pytest.mark.parametrize("first", [True, False])
def test_conditioning_concats_other_prompt_stays_wherever_it_stands(model, first):
    def beside(conditioning):
        pair = (conditioning, prompt(t5=txt(7, 5)))
        to, more = pair if first else pair[::-1]
        joined = nodes.ConditioningConcat().concat(to, more)[0]
        return [[joined[0][0], conditioning[0][1]]]

    told = {way: beside(each) for way, each in ways(no_txt=txt(4, 11)).items()}
    out, probe = measured(model, empty_txt=txt(4, 11), txt=TXT)
    check(probe.reading(sampled(out, told["v11"])), by_hand(model, LATENT, told))


def test_without_txt_nothing_is_guessed_and_that_is_said(model):
    """All rows count as the prompt's: they stand against the empty prompt alone."""
    out, probe = measured(model)
    positive = redux(prompt())
    latent = sampled(out, positive)
    nulls = ways()
    check(probe.reading(latent), by_hand(model, LATENT, {
        "v11": positive, "v10": redux(prompt(NO_VEC)), "v01": nulls["v01"], "v00": nulls["v00"]}))  # fmt: skip
    told, *_, data = ShowInfluence.execute(probe, latent).result[4:]
    assert "All 15 rows of the text count as T5's prompt: connect `txt` if Redux" in told
    assert json.loads(data)["t5_rows"] == 15
    plain, probe = measured(model)
    latent = sampled(plain, prompt())
    told, *_, data = ShowInfluence.execute(probe, latent).result[4:]
    assert "count as" not in told and json.loads(data)["t5_rows"] is None


def test_a_txt_that_is_not_sampled_is_told():
    null = Null(EMPTY, {VEC_ROAD: None, TXT_ROAD: None}, [TXT.spans[0].tensor])
    with pytest.raises(ValueError, match="`txt` is not the T5 prompt that is sampled: its 9 rows do not stand among"):
        null.check([randn(8, 1, 15, 64)])
    null.check([randn(8, 1, 15, 64), TXT.spans[0].tensor])  # combined with another prompt, which is swapped whole
    assert null.rows(randn(8, 1, 15, 64)) == slice(0, 15)


def test_a_mask_that_tells_tokens_apart_is_told():
    mask = torch.zeros(1, 20, 20)
    mask[:, :, 3] = -1
    assert torch.equal(replaced(mask, slice(0, 9), 9), mask)
    with pytest.raises(ValueError, match="T5 prompt's tokens differently.*of 11 rows.*Give that text 9 rows"):
        replaced(mask, slice(0, 9), 11)


@pytest.mark.parametrize("how", [("multiply",), ("attn_bias", 0.4)], ids=["multiply", "attn_bias"])
@pytest.mark.parametrize("length", [9, 13])
def test_redux_in_chosen_blocks(model, how, length):
    """As Block Routing to the empty prompt with the same Redux."""
    nothing = txt(4, length)
    out, probe = measured(model, blocks="1-3", txt=TXT, empty_txt=nothing)
    reading = probe.reading(sampled(out, redux(prompt(), *how)))
    a, b = redux(prompt(), *how), redux(prompt(t5=nothing), *how)
    routed = {"v11": a, "v01": Route.execute(a, b, "none", "1-3")[0]}
    expected = by_hand(ApplyDuet.execute(model)[0], LATENT, routed)
    for moment, by in zip(reading.moments, expected, strict=True):
        change = float((by["v11"] - by["v01"]).norm() / by["v11"].norm())
        assert pooled([moment.effects[EMPTY]])["blocks_t5"] == pytest.approx(change, rel=1e-3, abs=2e-5)


# ---- some blocks alone


@pytest.mark.parametrize("blocks", ["1-3", "single, final", "0-4, final"])
def test_blocks_as_block_routing_has_them(model, blocks):
    out, probe = measured(model, blocks=blocks)
    on, off = (sampled(each, prompt()) for each in (out, model))
    assert torch.equal(on["samples"], off["samples"])
    routed = {
        "v11": prompt(),
        "v10": Route.execute(prompt(), prompt(NO_VEC), blocks, "none")[0],
        "v01": Route.execute(prompt(), prompt(t5=NO_TXT), "none", blocks)[0],
    }
    expected = by_hand(ApplyDuet.execute(model)[0], LATENT, routed)
    for moment, by in zip(probe.reading(on).moments, expected, strict=True):
        found = pooled([moment.effects[EMPTY]])
        for road, way in (("clip", "v10"), ("t5", "v01")):
            change = float((by["v11"] - by[way]).norm() / by["v11"].norm())
            assert found[f"blocks_{road}"] == pytest.approx(change, rel=1e-3, abs=2e-5)
    assert probe.reading(on).rows == (STEPS, 6 * STEPS)


# ---- what it leaves behind, and what it refuses


def test_after_an_interrupted_run_all_is_as_before(model):
    out, probe = measured(model)
    before = str(out.model_options)
    guider = custom.BasicGuider.execute(out, prompt())[0]
    given = guider.model_options

    def stop(step, *_):
        comfy.model_management.interrupt_current_processing(step == 1)

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        guider.sample(
            torch.randn(1, 16, SIDE, SIDE),
            LATENT["samples"],
            comfy.samplers.sampler_object("euler"),
            custom.BasicScheduler.execute(out, "simple", STEPS, 1.0)[0],
            callback=stop,
            disable_pbar=True,
        )
    comfy.model_management.interrupt_current_processing(False)
    assert str(out.model_options) == before and guider.model_options is given and not probe.runs
    assert len(probe.reading(sampled(out, prompt())).moments) == STEPS


def test_a_latent_of_another_run_is_refused(model):
    out, probe = measured(model)
    sampled(out, prompt())
    with pytest.raises(ValueError, match="does not come from a run"):
        ShowInfluence.execute(probe, LATENT)


def test_a_prompt_without_a_clip_vector_is_refused(model):
    out, probe = measured(model)
    positive = [[TXT.spans[0].tensor, {"guidance": 3.5}]]
    latent = natively(out, positive)
    assert torch.equal(latent["samples"], natively(model, positive)["samples"]), "the picture is whole"
    with pytest.raises(ValueError, match="nothing for CLIP.*Dual Prompt"):
        probe.reading(latent)


def test_empty_prompts_of_other_encoders_are_refused(model):
    out, probe = measured(model, empty_vec=ClipVec((Span(torch.zeros(1, 32)),)))
    latent = sampled(out, prompt())
    with pytest.raises(ValueError, match="empty CLIP prompt is 32 wide and the sampled one 64"):
        probe.reading(latent)
    with pytest.raises(ValueError, match="`empty_txt` is scheduled, weighted"):
        measured(model, empty_txt=txt(4, 9, bias=torch.zeros(1, 9)))


def test_a_run_that_passes_it_by_is_told(model):
    """As a guider of another pack, which asks the model in a way of its own."""
    out, probe = measured(model)

    class Own(comfy.samplers.CFGGuider):
        def predict_noise(self, x, timestep, model_options=None, seed=None):
            return x * 0

    guider = Own(out)
    guider.set_conds(prompt(), prompt())
    samples = guider.sample(
        torch.randn(1, 16, SIDE, SIDE),
        LATENT["samples"],
        comfy.samplers.sampler_object("euler"),
        torch.tensor([1.0, 0.5, 0.0]),
        disable_pbar=True,
    )
    with pytest.raises(ValueError, match="never asked its MODEL.*nothing to measure"):
        probe.reading({"samples": samples})


def test_a_wrapped_model_is_measured_without_its_modulation(tiny):
    """As other packs do it: what stands for Flux shows no blocks and knows no wrappers."""
    model = comfy.sd.load_diffusion_model(str(tiny["flux"]))

    class Opaque(torch.nn.Module):
        dtype = torch.float32

        def forward(self, x, timestep, context, y=None, guidance=None, **kwargs):
            return x + 0.1 * context.mean((1, 2))[:, None, None, None] + 0.2 * y.mean(1)[:, None, None, None]

    model.model.diffusion_model = Opaque()
    out, probe = measured(model)
    reading = probe.reading(natively(out, prompt()))
    assert reading.rows == (STEPS, 4 * STEPS) and reading.modulation() is None
    numbers = reading.numbers("whole run", EMPTY)
    assert numbers["D_clip"] > 0 and numbers["interaction"] == pytest.approx(0, abs=1e-6)


def test_a_model_that_is_none_of_flux(tmp_path):
    class Other:
        model = torch.nn.Linear(1, 1)

    with pytest.raises(ValueError, match="got a model of Linear, expected FLUX.1"):
        measured(Other())


# ---- what is shown


def test_outputs_fit_the_picture(model):
    out, probe = measured(model, BOTH, blocks="double")
    latent = sampled(out, prompt(), latent=PAIR)
    plot, where, clip_mask, t5_mask, told, table, data = ShowInfluence.execute(
        probe, latent, "first third", torch.rand(2, 8 * SIDE, 8 * SIDE, 3)
    ).result
    assert plot.shape[0] == 1 and where.shape[0] == 2 and plot.shape[-1] == where.shape[-1] == 3
    assert clip_mask.shape == t5_mask.shape == (2, 8 * SIDE, 8 * SIDE)
    assert 0 <= min(float(clip_mask.min()), float(t5_mask.min()))
    assert max(float(clip_mask.max()), float(t5_mask.max())) <= 1
    assert told.endswith("times the evaluations of the plain run.") and len(table.splitlines()) == 1 + 2 * STEPS
    assert json.loads(data)["sentence"] == told
    with pytest.raises(ValueError, match="1 pictures for a LATENT of 2"):
        ShowInfluence.execute(probe, latent, picture=torch.rand(1, 64, 64, 3))
