"""Regions, routes and negatives in the real model: each identity of theirs, in numbers."""

import re

import comfy.sd
import comfy_extras.nodes_nag as core_nag
import pytest
import torch
from comfy.ldm.flux.model import Flux
from comfy_extras.nodes_easycache import EasyCacheNode as easycache

import nodes
from flux_duet.nodes.condition.blend.nodes import AFTER, BEFORE, ClipNegative
from flux_duet.nodes.condition.controls import VecDelta, controls_of, has_controls
from flux_duet.nodes.condition.nodes import DualPrompt, SplitConditioning
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.sample.nodes import ApplyDuet, MMDiTSampler
from flux_duet.nodes.streams import ClipVec, Span, T5Text
from flux_duet.tests.comfy import extras

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

SIDE = 12
LATENT = {"samples": torch.zeros(1, 16, SIDE, SIDE)}
BLOCKS = 5  # 2 double, 3 single


@pytest.fixture(scope="module")
def model(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def vec(seed: int) -> ClipVec:
    return ClipVec((Span(randn(seed, 1, 64)),))


def txt(seed: int, length: int = 9) -> T5Text:
    return T5Text((Span(randn(seed, 1, length, 64)),))


CLIP_A, CLIP_B = vec(1), vec(2)
A, B, C = txt(3), txt(4, 13), txt(5, 7)


def prompt(text=A, clip=CLIP_A) -> list:
    return DualPrompt.execute(clip, text, 3.5)[0]


def sampled(model, positive, negative=None, latent=LATENT, cfg=1.0, steps=2) -> torch.Tensor:
    return MMDiTSampler.execute(
        model,
        positive,
        latent,
        negative,
        cfg=cfg,
        seed=5,
        steps=steps,
        sampler="euler",
        scheduler="simple",
        denoise=1.0,
    )[0]["samples"]


def natively(model, positive, negative=None, latent=LATENT, cfg=1.0, steps=2) -> torch.Tensor:
    return nodes.KSampler().sample(
        model, 5, steps, cfg, "euler", "simple", positive, negative or positive, latent, 1.0
    )[0]["samples"]


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one - other).norm() / other.norm()).item()


def half(side: str, size: int = 48) -> torch.Tensor:
    mask = torch.zeros(1, size, size)
    mask[..., : size // 2] = 1
    return mask if side == "left" else 1 - mask


FULL, EMPTY = torch.ones(1, 40, 40), torch.zeros(1, 40, 40)


# ---- regions


def test_a_region_that_is_nowhere_is_no_region(model):
    for out in (
        Region.execute(A, B, EMPTY)[0],
        Region.execute(A, B, FULL, strength=0.0, base_ratio=1.0)[0],
        Region.execute(A, B, FULL, blocks="none")[0],
    ):
        assert not has_controls(prompt(out)) and torch.equal(natively(model, prompt(out)), natively(model, prompt()))


def test_a_region_that_is_everywhere_is_its_prompt(model):
    out = Region.execute(A, B, FULL, base_ratio=0.0)[0]
    assert torch.equal(natively(model, prompt(out)), natively(model, prompt(B)))
    # the same by the mechanism itself, block by block
    carried = Region.execute(A, B, FULL, base_ratio=0.0, blocks="0-4")[0]
    assert has_controls(prompt(carried))
    assert relative(sampled(model, prompt(carried)), sampled(model, prompt(B))) < 5e-6


def test_two_halves_of_one_prompt_are_that_prompt(model):
    """Each half's rows read their half alone, so that only the picture's first look is the same: one block."""
    both = Region.execute(Region.execute(A, B, half("left"), base_ratio=0.0)[0], B, half("right"), base_ratio=0.0)[0]
    assert relative(sampled(model, prompt(both), steps=1), sampled(model, prompt(B), steps=1)) < 0.2
    assert relative(sampled(model, prompt(both)), sampled(model, prompt(A))) > 1e-3


def test_a_half_sees_its_prompt(model):
    """What stands on the right changes with the base, not with the region's prompt, as far as one block goes."""
    left = Region.execute(A, B, half("left"), base_ratio=0.0)[0]
    base = sampled(model, prompt(A), steps=1)
    out = sampled(model, prompt(left), steps=1)
    near, far = ((out - base)[..., columns].norm() for columns in (slice(None, SIDE // 2), slice(SIDE // 2, None)))
    assert near > 1.5 * far


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (10, 5)])
def test_any_size_and_soft_masks(model, size):
    latent = {"samples": torch.zeros(1, 16, *size)}
    soft = torch.linspace(0, 1, 31)[None, :, None].expand(1, 31, 17)
    out = Region.execute(Region.execute(A, B, soft, base_ratio=0.3)[0], C, 1 - soft, strength=2.0)[0]
    assert sampled(model, prompt(out), latent=latent).isfinite().all()


def test_a_mask_for_each_picture_of_a_batch(model):
    latent = {"samples": torch.zeros(2, 16, SIDE, SIDE)}
    masks = torch.cat([half("left"), half("right")])
    together = sampled(model, prompt(Region.execute(A, B, masks)[0]), latent=latent)
    for number, mask in enumerate((half("left"), half("right"))):
        alone = sampled(model, prompt(Region.execute(A, B, mask)[0]), latent=latent)
        assert relative(together[number], alone[number]) < 5e-6


def test_kontext_references_see_the_base(model):
    def with_reference(conditioning):
        return nodes.node_helpers.conditioning_set_values(
            conditioning, {"reference_latents": [randn(8, 1, 16, 6, 10)]}, append=True
        )

    carried = Region.execute(B, A, FULL, base_ratio=0.0, blocks="0-4")[0]
    plain, placed = with_reference(prompt(A)), with_reference(prompt(carried))
    assert sampled(model, placed).isfinite().all()
    assert relative(sampled(model, placed), sampled(model, prompt(carried))) > 1e-4, "the reference counts"
    # where base and region say the same, the references' view of the base changes nothing
    same = with_reference(prompt(Region.execute(A, A, FULL, base_ratio=0.0, blocks="0-4")[0]))
    assert relative(sampled(model, same), sampled(model, plain)) < 5e-6


def test_limits_in_steps_cut_the_rows_away(model):
    none = Region.execute(A, B, half("left"), start="2")[0]  # of two steps
    assert torch.equal(sampled(model, prompt(none)), sampled(model, prompt(A)))
    always = Region.execute(A, B, half("left"))[0]
    assert torch.equal(
        sampled(model, prompt(Region.execute(A, B, half("left"), end="s0")[0])), sampled(model, prompt(always))
    )
    first = Region.execute(A, B, half("left"), end="1")[0]
    assert relative(sampled(model, prompt(first)), sampled(model, prompt(always))) > 1e-4


def never(*_, **__):
    raise AssertionError("a step was taken")


@pytest.mark.parametrize("shape", [(1, 16, 1, SIDE, SIDE), (1, 16, 3, SIDE, SIDE), (1, 16, SIDE)], ids=str)
def test_a_latent_that_is_no_picture_is_refused_before_sampling(model, shape, monkeypatch):
    """ComfyUI squeezes none for FLUX.1: its forward unpacks four dimensions, with or without a region."""
    latent, placed = {"samples": torch.zeros(shape)}, prompt(Region.execute(A, B, half("left"))[0])
    with pytest.raises(Exception, match=r"unpack|dim"):
        natively(model, prompt(A), latent=latent)
    words = rf"got a latent of the shape {re.escape(str(list(shape)))}, expected \[batch, 16, height, width\].* Use "
    flux = model.get_model_object("diffusion_model")
    monkeypatch.setattr(flux, "forward", never)
    with pytest.raises(ValueError, match=words):
        natively(ApplyDuet.execute(model)[0], placed, latent=latent)
    for positive in (prompt(A), placed):
        with pytest.raises(ValueError, match=f"^MMDiT Sampler: {words}"):
            sampled(model, positive, latent=latent)


def test_a_mask_that_is_none_is_told():
    for mask, words in ((torch.zeros(4), "expected .B, H, W."), (torch.full((1, 4, 4), torch.nan), "no numbers")):
        with pytest.raises(ValueError, match=words):
            Region.execute(A, B, mask)


# ---- block routing


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
    """They hold the same, though not as the same objects; it is as if the node stood behind the route."""
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
    conflict = r"Block Routing: `a` and `b` carry different reference pictures \(ReferenceLatent\).*Give both the same"
    for one, other, words in (
        (extras.referred(a, 3), extras.referred(b, 4), conflict),
        (extras.combined(a, a), extras.combined(extras.combined(b, b), b), "Block Routing: `a` holds 2 encodings"),
        (a, [[b[0][0], {"guidance": 3.5}]], "Block Routing, `b`: got a CONDITIONING .* without pooled_output"),
        ([], b, "Block Routing, `a`: got an empty CONDITIONING"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            Route.execute(one, other, "1, 3", "2-3")


def test_a_route_of_the_clip_road_is_what_the_blocks_are_given(model):
    """vec of a block is that of A or of B, bit by bit as near as a difference can be."""
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


def test_a_block_that_the_model_lacks_is_told(model):
    a, b = prompt(A, CLIP_A), prompt(B, CLIP_B)
    for clip, t5 in (("vital blocks (Stable Flow)", "none"), ("none", "40-")):
        with pytest.raises(ValueError, match="this model has blocks 0 to 4"):
            sampled(model, Route.execute(a, b, clip, t5)[0])


def test_native_nodes_may_add_rows(model):
    """ConditioningConcat's rows are seen as the base's are, and a region stays where it is."""
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


# ---- the CLIP negative


def test_guidance_before_the_mlp_is_arithmetic_on_vec(model):
    out = ClipNegative.execute(CLIP_A, CLIP_B, 2.0, where=BEFORE)[0]
    expected = CLIP_A.spans[0].tensor + 2 * (CLIP_A.spans[0].tensor - CLIP_B.spans[0].tensor)
    assert torch.allclose(out.spans[0].tensor, expected)
    assert not has_controls(prompt(A, out))


def test_guidance_after_the_mlp_is_the_published_sum(model):
    """vec + w (vector_in(c+) - vector_in(c-)) in the named blocks, nothing in the last layer."""
    flux = model.model.diffusion_model
    out = ClipNegative.execute(CLIP_A, CLIP_B, 3.0, blocks="1-", positive=vec(9))[0]
    (shift,) = controls_of(prompt(A, out)[0][1])
    assert isinstance(shift, VecDelta)
    from flux_duet.nodes.sample.modulation import difference

    parts = [flux.vector_in(each.spans[0].tensor) for each in (vec(9), CLIP_B)]
    expected = 3.0 * (parts[0] - parts[1])
    assert torch.allclose(difference(shift, CLIP_A.spans[0].tensor, flux.vector_in), expected, atol=1e-5)
    own = ClipNegative.execute(CLIP_A, CLIP_B, 3.0, blocks="1-")[0]
    (shift,) = controls_of(prompt(A, own)[0][1])
    parts = [flux.vector_in(each.spans[0].tensor) for each in (CLIP_A, CLIP_B)]
    moved = difference(shift, CLIP_A.spans[0].tensor, flux.vector_in)
    assert torch.allclose(moved, 3.0 * (parts[0] - parts[1]), atol=1e-5)


def test_guidance_against_itself_or_of_no_weight_is_none(model):
    assert ClipNegative.execute(CLIP_A, CLIP_B, 0.0)[0] is CLIP_A
    same = ClipNegative.execute(CLIP_A, CLIP_A, 3.0, blocks="0-")[0]
    assert relative(sampled(model, prompt(A, same)), sampled(model, prompt(A))) < 5e-6
    other = ClipNegative.execute(CLIP_A, CLIP_B, 3.0, blocks="0-", where=AFTER)[0]
    assert relative(sampled(model, prompt(A, other)), sampled(model, prompt(A))) > 1e-4
    late = ClipNegative.execute(CLIP_A, CLIP_B, 3.0, blocks="0-", start="2")[0]
    assert torch.equal(sampled(model, prompt(A, late)), sampled(model, prompt(A)))


# ---- the T5 negative


def test_nag_is_cores_where_core_acts(model):
    """Equal lengths and one CLIP prompt: ComfyUI's node, which asks the model twice, gives the same picture."""
    other = txt(6, 9)
    core = core_nag.NAGuidance.execute(model, 5.0, 0.5, 1.5)[0]
    expected = natively(core, prompt(A), prompt(other))
    ours = sampled(model, prompt(NegativeTxt.execute(A, other, 5.0, 1.5, 0.5)[0]))
    assert relative(ours, expected) < 5e-5
    assert relative(ours, sampled(model, prompt(A))) > 1e-3


def test_nag_acts_where_core_does_nothing(model):
    core = core_nag.NAGuidance.execute(model, 5.0, 0.5, 1.5)[0]
    assert relative(natively(core, prompt(A), prompt(B)), natively(model, prompt(A))) < 1e-6  # 9 and 13 tokens
    ours = sampled(model, prompt(NegativeTxt.execute(A, B, 5.0, 1.5, 0.5)[0]))
    assert relative(ours, sampled(model, prompt(A))) > 1e-3


def test_nag_is_neutral_where_it_says_so(model):
    assert NegativeTxt.execute(A, B, scale=1.0)[0] is A and NegativeTxt.execute(A, B, alpha=0.0)[0] is A
    itself = NegativeTxt.execute(A, A, 4.0, 10.0, 1.0)[0]
    assert relative(sampled(model, prompt(itself)), sampled(model, prompt(A))) < 1e-5, "away from itself is nowhere"
    off = NegativeTxt.execute(A, B, start="2")[0]
    assert torch.equal(sampled(model, prompt(off)), sampled(model, prompt(A)))


# ---- all of them, everywhere


def controlled() -> dict[str, list]:
    region = Region.execute(A, B, half("left"))[0]
    return {
        "region": prompt(region),
        "route": Route.execute(prompt(A), prompt(B, CLIP_B), "1, 3", "2-3")[0],
        "clip negative": prompt(A, ClipNegative.execute(CLIP_A, CLIP_B, 2.0, blocks="1-")[0]),
        "nag": prompt(NegativeTxt.execute(A, B)[0]),
        "all": Route.execute(prompt(NegativeTxt.execute(region, C)[0]), prompt(B, CLIP_B), "1, 3", "2-3")[0],
    }


@pytest.mark.parametrize("name", controlled())
def test_native_samplers_behind_apply_duet(model, name):
    positive = controlled()[name]
    ready = ApplyDuet.execute(model)[0]
    assert torch.equal(natively(ready, positive), sampled(model, positive))
    with pytest.raises(ValueError, match="Apply Duet.*MMDiT Sampler"):
        natively(model, positive)
    assert torch.equal(natively(model, prompt()), natively(ready, prompt())), "and nothing is left behind"


def lora() -> dict[str, torch.Tensor]:
    return {
        f"diffusion_model.{layer}.{side}.weight": randn(seed, *shape)
        for layer, width in (("single_blocks.0.linear2", 640), ("double_blocks.1.img_attn.proj", 128))
        for seed, side, shape in ((1, "lora_up", (128, 2)), (2, "lora_down", (2, width)))
    }


@pytest.mark.parametrize("name", controlled())
def test_with_a_lora_on_either_side(model, name):
    positive, ready = controlled()[name], ApplyDuet.execute(model)[0]
    before = comfy.sd.load_lora_for_models(model, None, lora(), 1.0, 0.0)[0]
    after = comfy.sd.load_lora_for_models(ready, None, lora(), 1.0, 0.0)[0]
    out = natively(after, positive)
    assert torch.equal(natively(ApplyDuet.execute(before)[0], positive), out)
    assert relative(out, natively(ready, positive)) > 1e-3, "the LoRA counts"
    assert relative(out, natively(before, prompt())) > 1e-5, "and so does the control"


@pytest.mark.parametrize("name", controlled())
def test_with_easycache(model, name):
    """A forward that EasyCache leaves out is no control that had no effect."""
    positive = controlled()[name]
    for ready in (
        ApplyDuet.execute(easycache.execute(model, 100.0, 0.0, 1.0, False)[0])[0],
        easycache.execute(ApplyDuet.execute(model)[0], 100.0, 0.0, 1.0, False)[0],
    ):
        out = natively(ready, positive, steps=6)
        assert out.isfinite().all() and relative(out, sampled(model, positive, steps=6)) > 1e-6, "some were left out"


@pytest.mark.parametrize("name", controlled())
def test_a_model_that_shows_no_hooks_is_told(model, name, monkeypatch):
    """As other packs do it: blocks whose forwards are exchanged."""
    flux = model.model.diffusion_model
    for block in (*flux.double_blocks, *flux.single_blocks):
        monkeypatch.setattr(block, "forward", lambda *args, img=None, txt=None, **_: args[0] if args else (img, txt))
    monkeypatch.setattr(flux, "forward_orig", lambda img, img_ids, txt, *args, **kwargs: torch.zeros_like(img))
    with pytest.raises(ValueError, match="had no effect.*Another node has replaced them"):
        sampled(model, controlled()[name])


@pytest.mark.parametrize("name", controlled())
def test_split_and_joined_again_they_are_the_same(model, name):
    positive = controlled()[name]
    again = DualPrompt.execute(*SplitConditioning.execute(positive).result)[0]
    assert torch.equal(sampled(model, again), sampled(model, positive))


@pytest.mark.parametrize("name", controlled())
def test_a_prompts_controls_act_on_it_alone(model, name):
    """With a plain negative, and as a negative, in a batch of two; each picture of a batch is as it is alone."""
    positive, other = controlled()[name], prompt(txt(7, 11), vec(8))
    latent = {"samples": torch.zeros(2, 16, SIDE, SIDE)}
    alone = [sampled(model, each, steps=1) for each in (positive, other)]
    for pair, order in (((positive, other), (0, 1)), ((other, positive), (1, 0))):
        mixed = sampled(model, *pair, cfg=3.0, steps=1)
        expected = alone[order[1]] + 3.0 * (alone[order[0]] - alone[order[1]])
        assert relative(mixed, expected) < 2e-5
    batch = sampled(model, positive, latent=latent, steps=1)
    assert relative(sampled(model, positive, latent=dict(LATENT, batch_index=[0]), steps=1), alone[0]) < 5e-6
    twice = sampled(model, positive, positive, latent=latent, cfg=2.0, steps=1)
    assert relative(twice, batch) < 2e-5


class ModifiedFlux(Flux):
    """As Fluxtapoz has it: a forward of its own, in the place of the shared model's class."""

    def forward(self, x, timestep, context, y=None, guidance=None, control=None, transformer_options=None, **kwargs):
        return self._forward(
            x, timestep, context, y, guidance, control=control, transformer_options=transformer_options, **kwargs
        )


@pytest.mark.parametrize("name", controlled())
def test_a_class_swapped_in_place_is_told_at_the_first_evaluation(model, name, monkeypatch):
    monkeypatch.setattr(model.model.diffusion_model, "__class__", ModifiedFlux)
    calls, forward = [], Flux._forward

    def counted(self, *args, **kwargs):
        calls.append(1)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(Flux, "_forward", counted)
    for run in (sampled, lambda model, positive, steps: natively(ApplyDuet.execute(model)[0], positive, steps=steps)):
        calls.clear()
        with pytest.raises(ValueError, match="were not carried out.*of ModifiedFlux.*Fluxtapoz.*restart ComfyUI"):
            run(model, controlled()[name], steps=4)
        assert len(calls) == 1
    assert torch.equal(sampled(model, prompt()), natively(model, prompt())), "what has no controls is as ever"
