"""Block Routing in the real model: each of its identities."""

import pytest
import torch

import nodes
from flux_duet.nodes.condition.blend.nodes import ClipNegative
from flux_duet.nodes.condition.nodes import SplitConditioning
from flux_duet.nodes.condition.place.nodes import Region, Route
from flux_duet.nodes.streams import Span, T5Text
from flux_duet.tests.comfy import extras
from flux_duet.tests.comfy.inputs import relative
from flux_duet.tests.comfy.place.runs import CLIP_A, CLIP_B, A, B, C, half, natively, prompt, sampled

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


BLOCKS = 5  # 2 double, 3 single


def test_all_blocks_to_b_is_b_and_none_is_a(model):
    a, b = prompt(A, CLIP_A), prompt(B, CLIP_B)
    assert torch.equal(natively(model, Route.execute(a, b, "all", "all")[0]), natively(model, b))
    assert torch.equal(natively(model, Route.execute(a, b)[0]), natively(model, a))
    assert torch.equal(natively(model, Route.execute(a, b, "none", "final")[0]), natively(model, a))


@pytest.mark.parametrize(
    "clip, t5", [("0-4, final", "0-4"), ("double, single, final", "double, single"), ("0-, final", "all")]
)
def test_every_block_by_name_is_b(model, clip, t5):
    a, b = prompt(A, CLIP_A), prompt(B, CLIP_B)
    assert relative(sampled(model, Route.execute(a, b, clip, t5)[0]), sampled(model, b)) < 5e-6


@pytest.mark.parametrize("name", ["reference", "ControlNet", "mask", "area"])
def test_each_prompt_may_come_through_its_own_node(model, name):
    """Equal values, but different objects: the same as with the node after the route."""
    net = extras.control_net(model)
    put = {
        "reference": extras.referred,
        "ControlNet": lambda each: extras.controlled(each, net),
        "mask": lambda each: extras.masked(each, "left"),
        "area": extras.placed,
    }[name]
    a, b = prompt(A, CLIP_A), prompt(B, CLIP_B)
    for blocks in (("1, 3", "2-3"), ("all", "none"), ("none", "all")):
        expected = sampled(model, put(Route.execute(a, b, *blocks)[0]))
        assert torch.equal(sampled(model, Route.execute(put(a), put(b), *blocks)[0]), expected)
    assert relative(expected, sampled(model, Route.execute(a, b, *blocks)[0])) > 1e-4, "the node counts"


def test_redux_weights_go_with_the_t5_prompt_that_is_shown(model):
    def weighted(each):
        return extras.redux(each, "attn_bias", 0.4)

    a, b = prompt(A, CLIP_A), prompt(B, CLIP_B)
    for given in ((weighted(a), b), (weighted(a), weighted(b))):
        out = Route.execute(*given, "1, 3", "none")[0]
        assert torch.equal(sampled(model, out), sampled(model, weighted(Route.execute(a, b, "1, 3")[0])))
    out = sampled(model, Route.execute(a, weighted(b), "1, 3", "final")[0])
    assert torch.equal(out, sampled(model, Route.execute(a, b, "1, 3")[0]))
    for one in (a, weighted(a)):
        out = sampled(model, Route.execute(one, weighted(b), "none", "all")[0])
        assert torch.equal(out, sampled(model, weighted(prompt(B, CLIP_A))))
        assert relative(sampled(model, Route.execute(one, weighted(b), "none", "0-4")[0]), out) < 5e-6


def test_prompts_that_cannot_be_routed_are_told_in_the_nodes_words(model):
    a, b = prompt(A, CLIP_A), prompt(B, CLIP_B)
    conflict = r"Block Routing: `a` and `b` have different reference pictures \(ReferenceLatent\).*Set the same on both"
    for one, other, words in (
        (extras.referred(a, 3), extras.referred(b, 4), conflict),
        (extras.combined(a, a), extras.combined(extras.combined(b, b), b), "Block Routing: `a` has 2 encodings"),
        (a, [[b[0][0], {"guidance": 3.5}]], "Block Routing, `b`: got a CONDITIONING .* without pooled_output"),
        ([], b, "Block Routing, `a`: got an empty CONDITIONING"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            Route.execute(one, other, "1, 3", "2-3")


def test_a_route_of_the_clip_stream_is_what_the_blocks_are_given(model):
    """A block's vec is that of A or of B, as exactly as a difference allows."""
    a, b = prompt(A, CLIP_A), prompt(A, CLIP_B)
    seen: dict[str, list] = {"a": [], "b": [], "routed": []}

    def watched(name):
        clone = model.clone()

        def look(args, extra):
            seen[name].append(args["vec"].clone())
            return extra["original_block"](args)

        for kind, count in (("double_block", 2), ("single_block", 3)):
            for index in range(count):
                clone.set_model_patch_replace(look, "dit", kind, index)
        return clone

    sampled(watched("a"), a, steps=1)
    sampled(watched("b"), b, steps=1)
    sampled(watched("routed"), Route.execute(a, b, "1, 3")[0], steps=1)
    for block in range(BLOCKS):
        wanted = seen["b" if block in (1, 3) else "a"][block]
        assert relative(seen["routed"][block], wanted) < 1e-6
    assert relative(seen["a"][0], seen["b"][0]) > 1e-2


def test_the_final_layer_belongs_to_who_is_named(model):
    a, b = prompt(A, CLIP_A), prompt(A, CLIP_B)
    final = sampled(model, Route.execute(a, b, "final")[0], steps=1)
    but = sampled(model, Route.execute(b, a, "0-4")[0], steps=1)
    assert relative(final, but) < 1e-6 and relative(final, sampled(model, a, steps=1)) > 1e-4


def test_a_block_that_the_model_lacks_is_reported(model):
    a, b = prompt(A, CLIP_A), prompt(B, CLIP_B)
    for clip, t5 in (("vital blocks (Stable Flow)", "none"), ("none", "40-")):
        with pytest.raises(ValueError, match="this model has blocks 0 to 4"):
            sampled(model, Route.execute(a, b, clip, t5)[0])


def test_native_nodes_may_add_rows(model):
    """ConditioningConcat's rows are attended to like the base's, and a region keeps its place."""
    more = prompt(C)
    placed = nodes.ConditioningConcat().concat(prompt(Region.execute(A, B, half("left"))[0]), more)[0]
    longer = T5Text((Span(torch.cat([A.spans[0].tensor, C.spans[0].tensor], 1)),))
    expected = prompt(Region.execute(longer, B, half("left"))[0])
    assert relative(sampled(model, placed), sampled(model, expected)) < 5e-6
    # and once more: a region over it, and it as a region
    again = SplitConditioning.execute(placed)[1]
    for one, other in (
        (
            Region.execute(again, C, half("right"))[0],
            Region.execute(SplitConditioning.execute(expected)[1], C, half("right"))[0],
        ),
        (
            Region.execute(C, again, half("right"))[0],
            Region.execute(C, SplitConditioning.execute(expected)[1], half("right"))[0],
        ),
    ):
        assert relative(sampled(model, prompt(one)), sampled(model, prompt(other))) < 5e-6


def test_routes_keep_regions_and_go_no_deeper(model):
    placed = prompt(Region.execute(A, C, half("left"))[0])
    other = prompt(Region.execute(B, C, half("right"), base_ratio=0.5)[0])
    out = Route.execute(placed, other, "none", "0-4")[0]
    assert relative(sampled(model, out), sampled(model, other)) < 5e-6, "b's own regions stand over b"
    guided = prompt(A, ClipNegative.execute(CLIP_A, CLIP_B, 2.0, blocks="0-")[0])
    with pytest.raises(ValueError, match="Route first"):
        Route.execute(guided, prompt(), "double")
