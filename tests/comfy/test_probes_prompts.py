"""The prompt that a probe reads: the watched one, by its rows and its role, in all places and steps; no other."""

import json
from functools import partial

import comfy.samplers
import comfy.sd
import comfy_extras.nodes_custom_sampler as custom
import comfy_extras.nodes_perpneg as perpneg
import pytest
import torch
from comfy_extras.nodes_slg import SkipLayerGuidanceDiT

import nodes
from flux_duet.nodes.condition.blend.nodes import BlendTxt
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.condition.time.nodes import Schedule
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.tokens import wanted
from flux_duet.nodes.probe.influence.nodes import Influence
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy import dense, sampling

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS, BLOCKS, IMAGE = 4, 5, 15
LATENT = {"samples": torch.zeros(1, 16, 10, 6)}


@pytest.fixture(scope="module")
def txts(singles):
    with torch.inference_mode():
        return [T5Encode.execute(singles[1], text)[0] for text in ("a red circle", "two red stars at night", "fog")]


@pytest.fixture(scope="module")
def vec(singles):
    with torch.inference_mode():
        return ClipEncode.execute(singles[0], "on paper")[0]


@pytest.fixture
def prompts(vec, txts):
    return [DualPrompt.execute(vec, txt, 3.5)[0] for txt in txts]


sampled = partial(sampling.sampled, latent=LATENT, steps=STEPS)


def guided(guider):
    noise, sampler = custom.RandomNoise.execute(5)[0], custom.KSamplerSelect.execute("euler")[0]
    sigmas = custom.BasicScheduler.execute(guider.model_patcher, "simple", STEPS, 1.0)[0]
    return custom.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, LATENT)[0]


def of_calls(calls, chosen, rows) -> torch.Tensor:
    """[steps, blocks, image]: the watched rows' shares in the calls that are `chosen`."""
    found = [call.share[0, -IMAGE:, rows].sum(-1) for call in calls if chosen(call)]
    return torch.stack(found).unflatten(0, (-1, BLOCKS))


def test_another_prompt_has_no_words(model, txts, prompts):
    ready, probe = Heatmap.execute(model, txts[0], "red").result
    latent = sampled(ready, prompts[1])
    assert torch.equal(latent["samples"], sampled(model, prompts[1])["samples"])
    with pytest.raises(ValueError, match="was not part of the model's input.*Connect the prompt that is sampled"):
        ShowHeatmap.execute(probe, latent)


@pytest.mark.parametrize(
    "change",
    [
        lambda a, b: nodes.ConditioningZeroOut().zero_out(a)[0],
        lambda a, b: nodes.ConditioningAverage().addWeighted(a, b, 0.5)[0],
    ],
)
def test_a_prompt_that_is_changed_is_not_it(model, txts, prompts, change):
    ready, probe = Heatmap.execute(model, txts[0], "red").result
    with pytest.raises(ValueError, match="averaged or zeroed"):
        probe.reading(sampled(ready, change(*prompts[:2])))


# ---- roles


@pytest.mark.parametrize("watched, role", [(0, "positive"), (1, "middle"), (2, "negative")])
def test_dual_cfg_guider(model, txts, prompts, watched, role):
    """The guider passes negative, middle and positive, in this order."""
    ready, probe = Heatmap.execute(model, txts[watched], ["red", "red", "fog"][watched]).result
    latent = guided(custom.DualCFGGuider.execute(ready, *prompts, 2.0, 1.5, "regular")[0])
    clone, calls = dense.watching(model)
    plain = guided(custom.DualCFGGuider.execute(clone, *prompts, 2.0, 1.5, "regular")[0])
    assert torch.equal(latent["samples"], plain["samples"])
    reading = probe.reading(latent)
    assert reading.role == role
    rows = wanted(txts[watched], "").rows(0) if watched == 2 else wanted(txts[watched], "red").rows(0)
    expected = of_calls(calls, lambda call: call.index == 2 - watched, rows)
    assert (reading.maps[:, :, 0, 0] - expected).abs().max() < 1e-6
    assert json.loads(ShowHeatmap.execute(probe, latent)[3])["prompt"] == role


def test_perp_neg(model, txts, prompts):
    positive, negative, empty = prompts
    clone, calls = dense.watching(model)
    plain = guided(perpneg.PerpNegGuider.execute(clone, positive, negative, empty, 2.0, 1.0)[0])
    for watched, role in ((0, "positive"), (1, "negative"), (2, "empty_negative_prompt")):
        word = ["red", "red", "fog"][watched]
        ready, probe = Heatmap.execute(model, txts[watched], word).result
        latent = guided(perpneg.PerpNegGuider.execute(ready, positive, negative, empty, 2.0, 1.0)[0])
        assert torch.equal(latent["samples"], plain["samples"])
        expected = of_calls(calls, lambda call, at=watched: call.index == at, wanted(txts[watched], word).rows(0))
        assert probe.reading(latent).role == role
        assert (probe.reading(latent).maps[:, :, 0, 0] - expected).abs().max() < 1e-6


def test_of_two_that_say_the_same_the_positive_is_read(model, txts, prompts):
    positive = nodes.ConditioningSetTimestepRange().set_range(prompts[0], 0.5, 1.0)[0]
    positive = nodes.ConditioningCombine().combine(
        positive, nodes.ConditioningSetTimestepRange().set_range(prompts[1], 0.0, 0.5)[0]
    )[0]
    ready, probe = Heatmap.execute(model, txts[0], "red").result
    reading = probe.reading(sampled(ready, positive, prompts[0], 2.0))
    assert reading.role == "positive" and len(reading.numbers) < STEPS, "where it acts, and not the negative before"
    ready, probe = Heatmap.execute(model, txts[0], "red").result
    reading = probe.reading(sampled(ready, prompts[1], prompts[0], 2.0))
    assert reading.role == "negative" and len(reading.numbers) == STEPS


def test_influence_asks_for_the_positive_whoever_guides(model, prompts):
    """Its first step has the same noise, so the measurement is the same there."""
    ready, probe = Influence.execute(model, "zeros", STEPS).result
    expected = probe.reading(guided(custom.BasicGuider.execute(ready, prompts[0])[0])).moments[0]
    guiders = (
        custom.DualCFGGuider.execute(ready, *prompts, 2.0, 1.5, "nested")[0],
        perpneg.PerpNegGuider.execute(ready, *prompts, 2.0, 1.0)[0],
        custom.CFGGuider.execute(ready, prompts[0], prompts[1], 3.0)[0],
    )
    for guider in guiders:
        moment = probe.reading(guided(guider)).moments[0]
        torch.testing.assert_close(moment.effects["zeros"].norms, expected.effects["zeros"].norms, rtol=1e-4, atol=1e-6)
        assert torch.equal(moment.modulation, expected.modulation)


@pytest.mark.parametrize("has_area", [False, True])
def test_past_the_evaluation_of_prompts(model, txts, prompts, has_area):
    """A node that replaces ComfyUI's evaluation but passes on its options."""

    def own(given):
        return comfy.samplers._calc_cond_batch(
            given["model"], given["conds"], given["input"], given["sigma"], given["model_options"]
        )

    positive = nodes.ConditioningSetArea().append(prompts[0], 32, 48, 16, 24, 1.0)[0] if has_area else prompts[0]
    ready, probe = Heatmap.execute(model, txts[0], "red").result
    direct = ready.clone()
    direct.set_model_sampler_calc_cond_batch_function(own)
    latent, expected = sampled(direct, positive), sampled(ready, positive)
    assert torch.equal(latent["samples"], expected["samples"])
    runs = [reading for _, reading in probe.runs.values()]
    if has_area:
        assert "the position of a prompt with an area is unknown" in runs[0].why
    else:
        assert torch.equal(runs[0].maps, runs[1].maps) and runs[0].role == "positive"


# ---- where its rows are


def test_beside_another_prompt(model, txts, prompts):
    """After the rows of another prompt, as with Conditioning Concat."""
    both = nodes.ConditioningConcat().concat(prompts[1], prompts[0])[0]
    clone, calls = dense.watching(model)
    plain = sampled(clone, both)
    for watched, start in ((0, 256), (1, 0)):
        ready, probe = Heatmap.execute(model, txts[watched], "red").result
        latent = sampled(ready, both)
        assert torch.equal(latent["samples"], plain["samples"])
        expected = of_calls(calls, lambda call: True, wanted(txts[watched], "red").rows(0) + start)
        assert (probe.reading(latent).maps[:, :, 0, 0] - expected).abs().max() < 1e-6


@pytest.mark.parametrize("mode, weight", [("join", 0.3), ("both", 0.8), ("lerp", 0.4), ("add", 0.5)])
def test_a_blend_has_the_words_of_both(model, singles, vec, mode, weight):
    texts = ["a red circle", "a blue circle"] if mode == "lerp" else ["a red circle at noon", "two blue stars"]
    one, other = (T5Encode.execute(singles[1], text)[0] for text in texts)
    empty = T5Encode.execute(singles[1], "")[0]
    txt = BlendTxt.execute(one, mode, weight, other, empty)[0]
    found = wanted(txt, "red" if mode == "add" else "red, blue")
    own, its = wanted(one, "red"), wanted(other, "blue")
    real = [token for chunk in one.source.tokens for token, _ in chunk].index(1) + 1
    assert found.rows(0).tolist() == own.rows(0).tolist()
    if mode == "add":
        with pytest.raises(ValueError, match="no word 'blue'"):
            wanted(txt, "blue")
    else:
        shift = 0 if mode == "lerp" else real
        assert found.rows(1).tolist() == [row + shift for row in its.rows(0).tolist()]
    positive = DualPrompt.execute(vec, txt, 3.5)[0]
    ready, probe = Heatmap.execute(model, txt, "red").result
    latent = sampled(ready, positive)
    clone, calls = dense.watching(model)
    assert torch.equal(sampled(ApplyDuet.execute(clone)[0], positive)["samples"], latent["samples"])
    expected = of_calls(calls, lambda call: True, own.rows(0))
    assert (probe.reading(latent).maps[:, :, 0, 0] - expected).abs().max() < 1e-6
    assert len(wanted(txt, "").words) >= 4, "every word of both"


def test_the_prompts_of_a_blend_are_found_in_it(model, txts, vec):
    """Both prompts' tokens at their rows; the pads are those of the prompt with the larger weight."""
    txt = BlendTxt.execute(txts[0], "join", 0.3, txts[1])[0]
    positive = DualPrompt.execute(vec, txt, 3.5)[0]
    clone, calls = dense.watching(model)
    sampled(ApplyDuet.execute(clone)[0], positive)
    real = [token for chunk in txts[0].source.tokens for token, _ in chunk].index(1) + 1
    for watched, start, has_pads in ((0, 0, True), (1, real, False)):
        ready, probe = Heatmap.execute(model, txts[watched], "red").result
        reading = probe.reading(sampled(ready, positive))
        expected = of_calls(calls, lambda call: True, wanted(txts[watched], "red").rows(0) + start)
        assert (reading.maps[:, :, 0, 0] - expected).abs().max() < 1e-6
        shares = ShowHeatmap.execute(probe, sampled(ready, positive))[3]
        assert (json.loads(shares)["shares"]["pads"] > 0) == has_pads


def test_a_region_s_own_text_is_found(model, txts, vec):
    mask = torch.zeros(1, 5, 3)
    mask[:, 3:] = 1
    placed = DualPrompt.execute(vec, Region.execute(txts[1], txts[0], mask, base_ratio=0.0)[0], 3.5)[0]
    ready, probe = Heatmap.execute(model, txts[0], "circle").result
    found = probe.reading(sampled(ready, placed)).maps[:, :, 0, 0].unflatten(-1, (5, 3))
    assert not found[:, :, :3].any() and (found[:, :, 3:] > 0).all()


def test_a_negative_in_the_attention_is_not_seen(model, txts, vec):
    nag = DualPrompt.execute(vec, NegativeTxt.execute(txts[1], txts[0])[0], 3.5)[0]
    ready, probe = Heatmap.execute(model, txts[0], "circle").result
    found = probe.reading(sampled(ready, nag))
    assert not found.maps.any(), "the image does not attend to it"


def test_a_routed_text_acts_in_its_blocks(model, txts, prompts):
    ready, probe = Heatmap.execute(model, txts[1], "stars").result
    found = probe.reading(sampled(ready, Route.execute(prompts[0], prompts[1], t5_blocks="1, 3")[0])).maps
    acts = found.flatten(2).amax(-1) > 0
    assert acts.tolist() == [[False, True, False, True, False]] * STEPS


# ---- and when


@pytest.mark.parametrize(
    "when, first, second",
    [("1\n@2 2", (0, 1), (2, 3)), ("1\n@1..3 2", (0, 1, 2), (1, 2, 3)), ("1\n@50% 2", None, None)],
)
def test_a_schedule_s_prompts_are_read_where_they_act(model, txts, vec, when, first, second):
    positive = Schedule.execute({"vec1": vec}, {"txt1": txts[0], "txt2": txts[1]}, "1", when)[0]
    clone, calls = dense.watching(model)
    plain = sampled(ApplyDuet.execute(clone)[0], positive)
    steps = {}
    for watched, word in ((0, "circle"), (1, "stars")):
        ready, probe = Heatmap.execute(model, txts[watched], word).result
        latent = sampled(ready, positive)
        assert torch.equal(latent["samples"], plain["samples"])
        steps[watched] = probe.reading(latent).numbers
        if first is not None:
            assert steps[watched] == (first, second)[watched]
        rows = wanted(txts[watched], word).rows(0)
        alone = [step for step in steps[watched] if step not in steps.get(1 - watched, ())]
        share = torch.stack([call.share[0, -IMAGE:, rows].sum(-1) for call in calls]).unflatten(0, (STEPS, BLOCKS))
        if ".." not in when:
            found = probe.reading(latent).maps[:, :, 0, 0]
            assert (found - share[list(alone)]).abs().max() < 1e-6
    if ".." not in when:
        assert sorted(steps[0] + steps[1]) == list(range(STEPS))


def test_what_a_node_asks_beside_the_picture_does_not_count(model, txts, prompts):
    """Skip Layer Guidance evaluates the positive again on the same x, with blocks skipped, to steer away from it."""
    ready, probe = Heatmap.execute(model, txts[0], "red").result
    plain = probe.reading(sampled(ready, prompts[0], prompts[1], cfg=2.0))
    steered, probe = Heatmap.execute(
        SkipLayerGuidanceDiT.execute(model, 2.0, 0.0, 1.0, "0", "1")[0], txts[0], "red"
    ).result
    reading = probe.reading(sampled(steered, prompts[0], prompts[1], cfg=2.0))
    assert torch.equal(reading.maps[0], plain.maps[0]), "at the first step, where both runs have one x"
    assert not torch.equal(reading.maps[1], plain.maps[1]) and reading.maps[1].flatten(1).any(1).all()
