"""CLIP Negative and T5 Negative in the real model: each of their identities."""

import comfy_extras.nodes_nag as core_nag
import pytest
import torch

from flux_duet.nodes.condition.blend.nodes import AFTER, BEFORE, ClipNegative
from flux_duet.nodes.condition.controls import VecDelta, controls_of, has_controls
from flux_duet.nodes.condition.place.nodes import NegativeTxt
from flux_duet.tests.comfy.inputs import relative, txt, vec
from flux_duet.tests.comfy.place.runs import CLIP_A, CLIP_B, A, B, natively, prompt, sampled

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


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
    """Equal lengths and one CLIP prompt: ComfyUI's node, which evaluates the model twice, gives the same picture."""
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
    assert relative(sampled(model, prompt(itself)), sampled(model, prompt(A))) < 1e-5, "away from itself: no change"
    off = NegativeTxt.execute(A, B, start="2")[0]
    assert torch.equal(sampled(model, prompt(off)), sampled(model, prompt(A)))
