"""Encoder Influence with rows that are not the prompt's, and in some blocks alone."""

import json

import pytest
import torch

import nodes
from flux_duet.nodes.condition.attn_masks import replaced
from flux_duet.nodes.condition.controls import TXT as TXT_STREAM
from flux_duet.nodes.condition.controls import VEC as VEC_STREAM
from flux_duet.nodes.condition.place.nodes import Route
from flux_duet.nodes.probe.influence.effects import pooled
from flux_duet.nodes.probe.influence.nodes import BOTH, EMPTY, ZEROS, ShowInfluence
from flux_duet.nodes.probe.replace_prompt import Null
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy.extras import redux
from flux_duet.tests.comfy.influence.runs import (
    LATENT,
    NO_TXT,
    NO_VEC,
    STEPS,
    TXT,
    ZERO_TXT,
    ZERO_VEC,
    by_hand,
    check,
    four_prompts,
    measured,
    prompt,
    sampled,
)
from flux_duet.tests.comfy.inputs import randn, txt

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


# ---- rows that are not the prompt's

KINDS = {"multiply": ("multiply", 1.0), "stronger": ("multiply", 1.5), "attn_bias": ("attn_bias", 0.4)}


@pytest.mark.parametrize("kind", KINDS)
def test_two_empty_prompts_change_exactly_nothing_beside_redux(model, kind):
    """It once attributed Redux' effect to the T5 prompt: "T5 decides everything"."""
    out, probe = measured(model)
    latent = sampled(out, redux(prompt(NO_VEC, NO_TXT), *KINDS[kind]))
    text = ShowInfluence.execute(probe, latent)[4]
    assert "the velocity is the same without them" in text and "count as" not in text
    assert probe.reading(latent).rows == (STEPS, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [9, 7, 21], ids=["equal lengths", "shorter", "longer"])
def test_reduxs_rows_stay_and_their_weights_with_them(model, kind, length):
    """Each velocity equals that of StyleModelApply on the prompt's, or the empty prompt's, CONDITIONING."""
    nothing = txt(4, length)
    prompts = {name: redux(each, *KINDS[kind]) for name, each in four_prompts(no_txt=nothing).items()}
    out, probe = measured(model, empty_txt=nothing, txt=TXT)
    on, off = (sampled(each, prompts["v11"]) for each in (out, model))
    assert torch.equal(on["samples"], off["samples"])
    check(probe.reading(on), by_hand(model, LATENT, prompts))
    assert probe.reading(on).counted == 0


def test_zeros_stand_in_the_prompts_rows_alone(model):
    out, probe = measured(model, ZEROS, txt=TXT)
    prompts = {name: redux(each) for name, each in four_prompts(ZERO_VEC, ZERO_TXT).items()}
    check(probe.reading(sampled(out, prompts["v11"])), by_hand(model, LATENT, prompts), ZEROS)


def test_against_zeros_too_the_empty_prompts_rows_alone_are_taken_away(model):
    out, probe = measured(model, BOTH)
    reading = probe.reading(sampled(out, redux(prompt(NO_VEC, NO_TXT))))
    assert reading.numbers("whole run", EMPTY)["whole"] == 0
    prompts = {name: redux(each) for name, each in four_prompts(ZERO_VEC, ZERO_TXT, NO_VEC, NO_TXT).items()}
    check(reading, by_hand(model, LATENT, prompts), ZEROS)


@pytest.mark.parametrize("first", [True, False])
def test_conditioning_concats_other_prompt_stays_wherever_it_stands(model, first):
    def combined(conditioning):
        pair = (conditioning, prompt(t5=txt(7, 5)))
        to, more = pair if first else pair[::-1]
        joined = nodes.ConditioningConcat().concat(to, more)[0]
        return [[joined[0][0], conditioning[0][1]]]

    prompts = {name: combined(each) for name, each in four_prompts(no_txt=txt(4, 11)).items()}
    out, probe = measured(model, empty_txt=txt(4, 11), txt=TXT)
    check(probe.reading(sampled(out, prompts["v11"])), by_hand(model, LATENT, prompts))


def test_without_txt_nothing_is_guessed_and_that_is_said(model):
    """All rows count as the prompt's, compared with the empty prompt alone."""
    out, probe = measured(model)
    positive = redux(prompt())
    latent = sampled(out, positive)
    nulls = four_prompts()
    check(probe.reading(latent), by_hand(model, LATENT, {
        "v11": positive, "v10": redux(prompt(NO_VEC)), "v01": nulls["v01"], "v00": nulls["v00"]}))  # fmt: skip
    text, *_, data = ShowInfluence.execute(probe, latent).result[4:]
    assert "All 15 tokens count as the T5 prompt: connect `txt` if Redux" in text
    assert json.loads(data)["t5_rows"] == 15
    plain, probe = measured(model)
    latent = sampled(plain, prompt())
    text, *_, data = ShowInfluence.execute(probe, latent).result[4:]
    assert "count as" not in text and json.loads(data)["t5_rows"] is None


def test_a_txt_that_is_not_sampled_is_reported():
    null = Null(EMPTY, {VEC_STREAM: None, TXT_STREAM: None}, [TXT.spans[0].tensor])
    with pytest.raises(ValueError, match="`txt` is not the T5 prompt that is sampled: its 9 tokens are not among"):
        null.check([randn(8, 1, 15, 64)])
    null.check([randn(8, 1, 15, 64), TXT.spans[0].tensor])  # combined with another prompt, which is replaced entirely
    assert null.rows(randn(8, 1, 15, 64)) == slice(0, 15)


def test_a_mask_that_tells_tokens_apart_is_reported():
    mask = torch.zeros(1, 20, 20)
    mask[:, :, 3] = -1
    assert torch.equal(replaced(mask, slice(0, 9), 9), mask)
    with pytest.raises(ValueError, match="differs between the T5 prompt's tokens.*of 11 tokens.*a prompt of 9 tokens"):
        replaced(mask, slice(0, 9), 11)


@pytest.mark.parametrize("how", [("multiply",), ("attn_bias", 0.4)], ids=["multiply", "attn_bias"])
@pytest.mark.parametrize("length", [9, 13])
def test_redux_in_chosen_blocks(model, how, length):
    """Equal to Block Routing to the empty prompt with the same Redux."""
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
        for stream, name in (("clip", "v10"), ("t5", "v01")):
            change = float((by["v11"] - by[name]).norm() / by["v11"].norm())
            assert found[f"blocks_{stream}"] == pytest.approx(change, rel=1e-3, abs=2e-5)
    assert probe.reading(on).rows == (STEPS, 6 * STEPS)
