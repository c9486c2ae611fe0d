"""Encoder Influence's velocities compared with reference runs, in the real model."""

import json

import comfy.model_management
import comfy.samplers
import comfy.sd
import pytest
import torch

from flux_duet.nodes.probe.influence.effects import pooled
from flux_duet.nodes.probe.influence.nodes import BOTH, EMPTY, ZEROS, ShowInfluence
from flux_duet.tests.comfy.extras import redux
from flux_duet.tests.comfy.influence.runs import (
    LATENT,
    NO_TXT,
    NO_VEC,
    PAIR,
    SIDE,
    STEPS,
    TXT,
    VEC,
    ZERO_TXT,
    ZERO_VEC,
    by_hand,
    check,
    four_prompts,
    measured,
    prompt,
    sampled,
)
from flux_duet.tests.comfy.inputs import randn, txt, vec

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


# ---- the velocities equal those of reference runs


@pytest.mark.parametrize("latent", [LATENT, PAIR], ids=["one", "batch of 2"])
@pytest.mark.parametrize("length", [9, 21], ids=["equal lengths", "unequal lengths"])
def test_four_velocities_as_of_four_runs(model, latent, length):
    nothing = txt(4, length)
    out, probe = measured(model, empty_txt=nothing)
    reading = probe.reading(sampled(out, prompt(), latent=latent))
    check(reading, by_hand(model, latent, four_prompts(no_txt=nothing)))
    assert reading.moments[0].effects[EMPTY].maps.shape == (2, len(latent["samples"]), SIDE, SIDE)
    assert reading.lengths == (None if length == 9 else (9, 21))


def test_an_empty_prompt_of_another_length_is_reported(model):
    """Its length alone changed CLIP's share from 1.2 % to 0.31 %, without a message."""
    for null, positive, lengths in ((txt(4, 21), prompt(), (9, 21)), (txt(4, 7), redux(prompt()), (9, 7)),
                                    (NO_TXT, prompt(), None), (NO_TXT, redux(prompt()), None)):  # fmt: skip
        out, probe = measured(model, BOTH, empty_txt=null, txt=TXT)
        text, *_, data = ShowInfluence.execute(probe, sampled(out, positive)).result[4:]
        numbers = "The T5 prompt has {} tokens and the empty prompt {}: "
        expected = numbers.format(*lengths) if lengths else "and the empty prompt"
        assert (expected in text) is (lengths is not None)
        assert json.loads(data)["t5_lengths"] == (lengths and {"prompt": lengths[0], "empty": lengths[1]})
    out, probe = measured(model, ZEROS, empty_txt=txt(4, 21))
    assert probe.reading(sampled(out, prompt())).lengths is None


def test_both_nulls_each_for_itself(model):
    out, probe = measured(model, BOTH)
    reading = probe.reading(sampled(out, prompt()))
    check(reading, by_hand(model, LATENT, four_prompts()))
    check(reading, by_hand(model, LATENT, four_prompts(ZERO_VEC, ZERO_TXT)), ZEROS)
    assert reading.rows == (STEPS, 7 * STEPS) and reading.times == 8


def test_zeros_need_no_empty_prompts(model):
    out, probe = measured(model, ZEROS, empty_vec=None, empty_txt=None)
    check(probe.reading(sampled(out, prompt())), by_hand(model, LATENT, four_prompts(ZERO_VEC, ZERO_TXT)), ZEROS)
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
    expected = by_hand(patched, LATENT, four_prompts())
    out, probe = measured(model)
    for behind in (comfy.sd.load_lora_for_models(out, None, lora, 1.0, 0.0)[0], None):
        if behind is None:
            behind, probe = measured(patched)
        latent = sampled(behind, prompt())
        assert torch.equal(latent["samples"], sampled(patched, prompt())["samples"])
        check(probe.reading(latent), expected)


# ---- no effect is exactly 0


def test_a_prompt_equal_to_the_null_is_not_evaluated(model):
    for clip, t5, evaluated, zero in ((NO_VEC, TXT, 1, "clip"), (VEC, NO_TXT, 1, "t5"), (NO_VEC, NO_TXT, 0, "clip")):
        out, probe = measured(model)
        reading = probe.reading(sampled(out, prompt(clip, t5)))
        assert reading.rows == (STEPS, (evaluated and evaluated + 1) * STEPS)
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
