"""Controls where native nodes zero a prompt or append rows to it: each acts on the changed CONDITIONING."""

from dataclasses import replace

import comfy.controlnet
import comfy.sd
import pytest
import torch
from comfy.ldm.flux.redux import ReduxImageEncoder

import nodes
from flux_duet.nodes.condition.blend.nodes import BlendTxt
from flux_duet.nodes.condition.controls import has_controls
from flux_duet.nodes.condition.nodes import DualPrompt, SplitConditioning
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.condition.time.nodes import PromptAt, Schedule
from flux_duet.nodes.sample.nodes import ApplyDuet, MMDiTSampler
from flux_duet.nodes.streams import ClipVec, Span, T5Text
from flux_duet.tests.comfy.following.runs import (
    FULL,
    LATENT,
    LEFT,
    STEPS,
    A,
    B,
    C,
    chained,
    controlled,
    natively,
    over_each,
    prompt,
    sampled,
    scheduled,
)
from flux_duet.tests.comfy.inputs import randn, relative

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def zero_out(conditioning: list) -> list:
    return nodes.ConditioningZeroOut().zero_out(conditioning)[0]


def concat(conditioning: list, other: list | None = None) -> list:
    return nodes.ConditioningConcat().concat(conditioning, other or prompt(*C))[0]


def redux(strength_type: str = "multiply", strength: float = 0.6):
    """StyleModelApply with a small Redux of random weights."""
    torch.manual_seed(7)
    model = ReduxImageEncoder(redux_dim=8, txt_in_features=64, device="cpu", dtype=torch.float32)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.5)
    style = comfy.sd.StyleModel(model)
    seen = type("ClipVisionOutput", (), {"last_hidden_state": randn(8, 1, 5, 8)})()

    def apply(conditioning: list) -> list:
        return nodes.StyleModelApply().apply_stylemodel(conditioning, style, seen, strength, strength_type)[0]

    return apply


APPENDING = {"concat": concat, "redux": redux(), "redux, attn_bias": redux("attn_bias", 0.4)}


# ---- zeroed


@over_each
def test_zeroed_out_it_is_its_prompt_zeroed_out(model, name):
    """As a negative, the usual purpose of ConditioningZeroOut."""
    positive = controlled(name)
    expected = natively(model, prompt(), zero_out(prompt()), cfg=3.0)
    assert torch.equal(sampled(model, prompt(), zero_out(positive), cfg=3.0), expected)
    assert torch.equal(natively(ApplyDuet.execute(model)[0], prompt(), zero_out(positive), cfg=3.0), expected)


def test_a_scheduled_prompt_against_its_own_zero(model):
    """True CFG of a timeline is not CFG 1."""
    out = sampled(model, scheduled(), zero_out(scheduled()), cfg=3.0)
    expected = chained(model, (2, prompt(), zero_out(prompt())), (STEPS, prompt(*B), zero_out(prompt())), cfg=3.0)
    assert relative(out, expected) < 5e-6
    assert relative(out, sampled(model, scheduled())) > 1e-2


def test_one_stream_zeroed_takes_that_streams_controls_alone(model):
    both = Route.execute(prompt(), prompt(*B), "1, 3", "2-3")[0]
    no_vec = nodes.node_helpers.conditioning_set_values(both, {"pooled_output": torch.zeros(1, 64)})
    expected = Route.execute(prompt(ClipVec((Span(torch.zeros(1, 64)),))), prompt(*B), "none", "2-3")[0]
    assert torch.equal(sampled(model, no_vec), sampled(model, expected))


# ---- appended rows


@pytest.mark.parametrize("neighbour", APPENDING)
def test_a_timeline_leaves_rows_behind_it_where_they_are(model, neighbour):
    behind = APPENDING[neighbour]
    each = [behind(one) for one in (prompt(), prompt(*B))]
    expected = chained(model, (2, each[0], each[0]), (STEPS, each[1], each[1]))
    # Concat and Redux keep the first prompt's vec and extras, so the CLIP stream is the timeline's.
    out = sampled(model, behind(scheduled()))
    assert relative(out, expected) < 5e-6
    assert relative(out, sampled(model, scheduled())) > 1e-4, "and the appended rows have an effect"


@pytest.mark.parametrize("neighbour", APPENDING)
@pytest.mark.parametrize("t5", ["1\n@2 2", "1\n@1..3 2"])
def test_split_joined_and_taken_at_a_step_they_are_still_there(model, neighbour, t5):
    behind = APPENDING[neighbour]
    conditioning = behind(scheduled("1\n@2 2", t5))
    again = DualPrompt.execute(*SplitConditioning.execute(conditioning).result)[0]
    assert torch.equal(sampled(model, again), sampled(model, conditioning))
    for step, parts in ((0, A), (3, B)):
        alone = PromptAt.execute(conditioning, str(step))[0]
        assert not has_controls(alone)
        assert torch.equal(natively(model, alone), natively(model, behind(prompt(*parts))))


@pytest.mark.parametrize("neighbour", APPENDING)
def test_a_fade_with_rows_behind_it(model, neighbour):
    """Reference: at each step both prompts' rows, weighted, and the appended rows."""
    behind, latent, levels = APPENDING[neighbour], LATENT, [0, 1 / 3, 2 / 3, 1]
    faded = behind(scheduled("1", "1\n@1..3 2"))
    for step, share in enumerate(levels):
        text = BlendTxt.execute(A[1], "join", share, B[1])[0]
        latent = MMDiTSampler.execute(
            model,
            behind(prompt(t5=text)),
            latent,
            seed=5,
            steps=STEPS,
            sampler="euler",
            scheduler="simple",
            start_step=step,
            end_step=step + 1,
            add_noise=step == 0,
            leftover_noise=step < STEPS - 1,
        )[0]
    assert relative(sampled(model, faded), latent["samples"]) < 5e-6


@pytest.mark.parametrize("neighbour", APPENDING)
def test_what_lies_over_a_prompt_lies_over_the_rows_behind_it(model, neighbour):
    """A region everywhere, a route of all blocks and a blend of equal texts equal native prompts with the rows."""
    behind = APPENDING[neighbour]
    base, other = behind(prompt()), behind(prompt(t5=B[1]))
    text, _ = (SplitConditioning.execute(each)[1] for each in (other, base))
    over = Region.execute(SplitConditioning.execute(base)[1], text, FULL, base_ratio=0.0, blocks="0-4")[0]
    assert relative(sampled(model, prompt(t5=over)), natively(model, other)) < 5e-6
    routed = Route.execute(base, other, "none", "0-4")[0]
    assert relative(sampled(model, routed), natively(model, other)) < 5e-6
    for mode, weight in (("join", 0.5), ("both", 1.0)):
        mixed = BlendTxt.execute(A[1], mode, weight, A[1])[0]
        twice = behind(prompt(t5=mixed))
        plain = behind(prompt()) if mode == "join" else behind(concat(prompt(), prompt()))
        assert relative(sampled(model, twice), natively(model, plain)) < 5e-6


@pytest.mark.parametrize("neighbour", APPENDING)
def test_a_text_that_ends_leaves_the_prompt_with_its_rows(model, neighbour):
    """The region until step 2, then the base: two chained runs, with the rows and their attention mask in both."""
    behind = APPENDING[neighbour]
    for make, options in ((Region, (B[1], LEFT)), (NegativeTxt, (B[1],))):
        always, ends = (behind(prompt(t5=make.execute(A[1], *options, **end)[0])) for end in ({}, {"end": "2"}))
        ready = ApplyDuet.execute(model)[0]
        plain = behind(prompt())
        assert relative(sampled(model, ends), chained(ready, (2, always, always), (STEPS, plain, plain))) < 5e-6


def test_a_blend_keeps_each_prompts_own_attention_mask(model):
    """Two prompts with Redux, side by side at a half each: natively, by a mask that is written down token by token."""
    one, other = (redux("attn_bias", strength)(prompt(t5=t5)) for strength, t5 in ((0.4, A[1]), (2.0, B[1])))
    texts = [SplitConditioning.execute(each)[1] for each in (one, other)]
    half = BlendTxt.execute(texts[0], "join", 0.5, texts[1])[0]
    rows = torch.cat([one[0][0], other[0][0]], 1)
    mask, start = torch.zeros(1, rows.shape[1] + 1, rows.shape[1] + 1), 0
    for (own, entry), length in ((one[0], 9 + 5), (other[0], 13 + 5)):
        here, given = slice(start, start + length), entry["attention_mask"].float()
        assert own.shape[1] == length and given.shape[1] == length + 1
        mask[:, here, here], mask[:, -1:, here] = given[:, :-1, :-1], given[:, -1:, :-1]
        start += length
    mask[:, :, :-1] += torch.tensor(0.5).log()
    native = [[rows, {**one[0][1], "attention_mask": mask}]]
    assert relative(sampled(model, prompt(t5=half)), natively(model, native)) < 2e-5
    with pytest.raises(ValueError, match="'lerp' cannot mix.*attention mask"):
        BlendTxt.execute(A[1], "lerp", 0.5, T5Text((replace(A[1].spans[0], attn_mask=texts[0].spans[0].attn_mask),)))


def test_another_text_takes_no_attention_mask_of_the_one_before(model):
    """Split, with another T5 prompt in place of Redux' rows: the mask belonged to those rows."""
    made = redux("attn_bias", 0.4)(prompt())
    clip = SplitConditioning.execute(made)[0]
    assert torch.equal(natively(model, prompt(clip, B[1])), natively(model, prompt(A[0], B[1])))


def test_a_timeline_of_prompts_with_attention_masks_is_reported():
    text = SplitConditioning.execute(redux("attn_bias", 0.4)(prompt()))[1]
    with pytest.raises(ValueError, match="has an attention mask.*apply Redux to the result"):
        Schedule.execute({"vec1": A[0]}, {"txt1": text, "txt2": B[1]}, "1", "1\n@2 2")
    percent = Schedule.execute({"vec1": A[0]}, {"txt1": text, "txt2": B[1]}, "1", "1\n@40% 2")[0]
    assert [("attention_mask" in entry) for _, entry in percent] == [True, False]


def test_a_timeline_of_prompts_with_other_extras_is_reported():
    other = T5Text((Span(B[1].spans[0].tensor, {"reference_latents": [torch.zeros(1, 16, 4, 4)]}),))
    with pytest.raises(ValueError, match="differ in reference pictures .ReferenceLatent.*set it after Prompt Schedule"):
        Schedule.execute({"vec1": A[0]}, {"txt1": A[1], "txt2": other}, "1", "1\n@2 2")
