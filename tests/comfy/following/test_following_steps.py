"""Controls in batches, and at steps that are counted from another start or never come."""

import pytest
import torch

import nodes
from flux_duet.nodes.condition.blend.nodes import BlendTxt, BlendVec, ClipNegative
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.condition.time.nodes import PartOfRun
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.nodes.streams import Span, T5Text
from flux_duet.tests.comfy.following.runs import (
    LEFT,
    SIDE,
    STEPS,
    A,
    B,
    chained,
    controlled,
    natively,
    prompt,
    sampled,
    scheduled,
)
from flux_duet.tests.comfy.inputs import relative, txt, vec

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


# ---- batches


def test_batches_of_two_sizes_are_reported():
    pair, three = txt(1, batch=2), txt(2, batch=3)
    for make in (
        lambda: BlendTxt.execute(pair, "both", 0.5, three),
        lambda: Region.execute(pair, three, LEFT),
        lambda: NegativeTxt.execute(pair, three),
        lambda: Route.execute(prompt(vec(1), pair), prompt(vec(2), three), "none", "1"),
        lambda: ClipNegative.execute(vec(1, 2), vec(2, 3), 1.0),
    ):
        with pytest.raises(ValueError, match="a batch of 2 prompts and one of 3"):
            make()
    with pytest.raises(ValueError, match="a batch of 2 prompts and one of 3"):
        BlendVec.execute(vec(1, 2), "lerp", 0.5, vec(2, 3))


def test_one_prompt_goes_with_all_of_a_batch(model):
    latent = {"samples": torch.zeros(2, 16, SIDE, SIDE)}
    pair = txt(1, batch=2)
    together = sampled(model, prompt(vec(1), Region.execute(pair, B[1], LEFT)[0]), latent=latent)
    for number in range(2):
        own = T5Text((Span(pair.spans[0].tensor[number : number + 1]),))
        alone = sampled(model, prompt(vec(1), Region.execute(own, B[1], LEFT)[0]), latent=latent)
        assert relative(together[number], alone[number]) < 5e-6


# ---- steps that are counted from another start, or never come


def test_a_run_that_starts_in_the_middle_tells_that_its_steps_are_its_own(model, caplog):
    ready = ApplyDuet.execute(model)[0]
    chained(ready, (2, scheduled(), scheduled()), (STEPS, scheduled(), scheduled()))
    messages = [
        record.message for record in caplog.records if "counted from the first step of this run" in record.message
    ]
    assert len(messages) == 1 and "start_step" in messages[0]
    caplog.clear()
    chained(ready, (2, prompt(), prompt()), (STEPS, prompt(), prompt()))
    sampled(model, scheduled(), start_step=2, add_noise=False)
    assert not [record for record in caplog.records if "first step of this run" in record.message]


@pytest.mark.parametrize(
    "make",
    [
        lambda step: scheduled("1", f"1\n@{step} 2"),
        lambda step: scheduled(f"1\n@{step}..20 2", "1"),
        lambda step: prompt(t5=Region.execute(A[1], B[1], LEFT, start=f"{step}")[0]),
        lambda step: PartOfRun.execute(prompt(), f"{step}", "100%")[0],
    ],
)
def test_a_step_that_never_comes_is_reported(model, make, caplog):
    def run(step):
        caplog.clear()
        sampled(model, prompt(), make(step), cfg=2.0)
        return [record.message for record in caplog.records if "never acts" in record.message]

    assert run(3) == []
    (message,) = run(4)
    assert "step 4 never acts: this run ends before step 4" in message


def test_a_prompt_that_begins_later_is_no_swapped_model(model):
    """Nothing is evaluated at first, as natively; the controls act afterwards."""
    late = nodes.ConditioningSetTimestepRange().set_range(controlled("weights"), 0.3, 1.0)[0]
    native = nodes.ConditioningSetTimestepRange().set_range(prompt(), 0.3, 1.0)[0]
    assert relative(sampled(model, late), natively(model, native)) > 1e-5
