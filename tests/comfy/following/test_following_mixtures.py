"""Controls in mixed and multiplied prompts, and with native nodes that read the prompt."""

import comfy.controlnet
import comfy.sd
import pytest
import torch
from comfy_extras.nodes_flux import FluxKVCache

import nodes
from flux_duet.nodes.condition.nodes import SplitConditioning
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.nodes.streams import Span, T5Text
from flux_duet.tests.comfy.following.runs import (
    FULL,
    LEFT,
    SIDE,
    A,
    B,
    C,
    controlled,
    natively,
    over_each,
    prompt,
    sampled,
    scheduled,
    weighted,
)
from flux_duet.tests.comfy.inputs import randn, relative

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def average(conditioning: list, strength: float = 0.7) -> list:
    return nodes.ConditioningAverage().addWeighted(conditioning, prompt(*C), strength)[0]


def multiplied(conditioning: list, by: float = 0.5) -> list:
    return nodes.ConditioningMultiply().multiply(conditioning, by)[0]


# ---- mixed, multiplied


@pytest.mark.parametrize("name", ["steps", "fade"])
def test_a_timeline_in_a_mixture_is_refused_before_anything_is_sampled(model, name, monkeypatch):
    monkeypatch.setattr(model.model.diffusion_model, "_forward", lambda *_, **__: pytest.fail("it was sampled"))
    for run in (sampled, lambda model, positive: natively(ApplyDuet.execute(model)[0], positive)):
        with pytest.raises(ValueError, match="such as Conditioning Average.*Mix the prompts first"):
            run(model, average(controlled(name)))
    with pytest.raises(ValueError, match="such as Conditioning Average"):
        SplitConditioning.execute(average(controlled(name)))


def test_a_mixture_with_itself_is_no_mixture(model):
    same = nodes.ConditioningAverage().addWeighted(scheduled(), prompt(), 0.3)[0]
    assert relative(sampled(model, same), sampled(model, scheduled())) < 1e-5


def test_what_lies_over_a_mixture_acts_on_it(model):
    mixed = SplitConditioning.execute(average(prompt()))[1]
    clip = SplitConditioning.execute(average(prompt()))[0]
    for over in (lambda t5: Region.execute(t5, B[1], LEFT)[0], lambda t5: NegativeTxt.execute(t5, B[1])[0]):
        assert torch.equal(sampled(model, average(prompt(t5=over(A[1])))), sampled(model, prompt(clip, over(mixed))))
    routed = average(Route.execute(prompt(), prompt(*B), "1, 3", "2-3")[0])
    expected = Route.execute(average(prompt()), prompt(*B), "1, 3", "2-3")[0]
    assert torch.equal(sampled(model, routed), sampled(model, expected))


def test_weights_on_rows_that_were_cut_are_reported(model):
    cut = [[each[:, :5], entry] for each, entry in prompt(t5=weighted(A[1]))]
    with pytest.raises(ValueError, match="weights in the attention for 9 tokens.*cut it to 5"):
        sampled(model, cut)


@over_each
def test_multiplied_all_of_its_texts_are(model, name):
    """The same as with every prompt multiplied before."""

    def half(stream):
        return type(stream)(tuple(Span(span.tensor * 0.5, bias=span.bias) for span in stream.spans))

    halves = [tuple(half(stream) for stream in pair) for pair in (A, B)]
    out = sampled(model, multiplied(controlled(name)))
    assert relative(out, sampled(model, controlled(name, *halves))) < 5e-6


# ---- native nodes that read the prompt


class Watching(comfy.controlnet.ControlBase):
    """A ControlNet that stores its inputs and adds nothing."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options):
        self.seen.append(cond["c_crossattn"].clone())

    def get_models(self):
        return []

    def copy(self):
        return self


@over_each
def test_a_controlnet_reads_the_prompt_that_plays_and_no_other(model, name):
    watching = Watching()
    with_it = nodes.node_helpers.conditioning_set_values(controlled(name), {"control": watching})
    out = sampled(model, with_it)
    assert torch.equal(out, sampled(model, controlled(name)))
    own, other = A[1].spans[0].tensor, B[1].spans[0].tensor
    if name == "fade":
        assert [seen.shape[1] for seen in watching.seen] == [9, 22, 22, 13]
    elif name == "steps":
        assert all(torch.equal(*pair) for pair in zip(watching.seen, [own, own, other, other], strict=True))
    else:
        assert all(torch.equal(seen, own) for seen in watching.seen)


@pytest.mark.parametrize("name", ["region", "NAG", "route", "weights"])
def test_under_flux_kv_cache(model, name):
    """The references' keys are kept from the first step on, and so computed with the prompt of that step."""
    reference = {"reference_latents": [randn(9, 1, 16, 6, 6)], "reference_latents_method": "index"}
    plain = {
        "region": lambda: prompt(t5=Region.execute(A[1], A[1], LEFT, base_ratio=0.0, blocks="0-4")[0]),
        "NAG": lambda: prompt(t5=NegativeTxt.execute(A[1], A[1], 4.0, 10.0, 1.0)[0]),
        "route": lambda: Route.execute(prompt(), prompt(), "1, 3", "2-3")[0],
        "weights": lambda: prompt(t5=T5Text((Span(A[1].spans[0].tensor, bias=torch.zeros(1, 9)),))),
    }[name]

    def cached(positive):
        conditioning = nodes.node_helpers.conditioning_set_values(positive, reference)
        return sampled(FluxKVCache.execute(model)[0], conditioning)

    native = natively(FluxKVCache.execute(model)[0], nodes.node_helpers.conditioning_set_values(prompt(), reference))
    expected = native if name != "region" else None
    if expected is not None:
        assert relative(cached(plain()), expected) < 1e-5, "an equal prompt changes nothing"
    assert relative(cached(controlled(name)), native) > 1e-5


def test_a_regions_mask_is_over_the_whole_picture_under_set_area(model):
    """An area on the left half, and a region of the picture's left half: the region covers the whole area."""
    area = nodes.ConditioningSetArea()

    def in_left(conditioning):
        return area.append(conditioning, 8 * SIDE // 2, 8 * SIDE, 0, 0, 1.0)[0]

    def over(part):  # the base prompt for the rest of the picture
        return sampled(model, [*prompt(*C), *in_left(part)])

    left = prompt(t5=Region.execute(A[1], B[1], LEFT, base_ratio=0.0, blocks="0-4")[0])
    right = prompt(t5=Region.execute(A[1], B[1], 1 - LEFT, base_ratio=0.0, blocks="0-4")[0])
    everywhere = prompt(t5=Region.execute(A[1], B[1], FULL, base_ratio=0.0, blocks="0-4")[0])
    assert relative(over(left), over(everywhere)) < 1e-6
    assert relative(over(right), over(left)) > 1e-4
