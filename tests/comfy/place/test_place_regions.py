"""T5 Region in the real model: each of its identities."""

import re

import pytest
import torch

import nodes
from flux_duet.nodes.condition.controls import has_controls
from flux_duet.nodes.condition.place.nodes import Region
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy.inputs import randn, relative
from flux_duet.tests.comfy.place.runs import SIDE, A, B, C, half, natively, prompt, sampled

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


FULL, EMPTY = torch.ones(1, 40, 40), torch.zeros(1, 40, 40)


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
    """Each half's rows attend to their half alone, so the picture is only equal after one block."""
    both = Region.execute(Region.execute(A, B, half("left"), base_ratio=0.0)[0], B, half("right"), base_ratio=0.0)[0]
    assert relative(sampled(model, prompt(both), steps=1), sampled(model, prompt(B), steps=1)) < 0.2
    assert relative(sampled(model, prompt(both)), sampled(model, prompt(A))) > 1e-3


def test_a_half_sees_its_prompt(model):
    """The right half changes with the base, not with the region's prompt, within one block."""
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
    # if base and region are equal, the references' attention to the base changes nothing
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
    words = rf"got a latent of shape {re.escape(str(list(shape)))}, expected \[batch, 16, height, width\].* Use "
    flux = model.get_model_object("diffusion_model")
    monkeypatch.setattr(flux, "forward", never)
    with pytest.raises(ValueError, match=words):
        natively(ApplyDuet.execute(model)[0], placed, latent=latent)
    for positive in (prompt(A), placed):
        with pytest.raises(ValueError, match=f"^MMDiT Sampler: {words}"):
            sampled(model, positive, latent=latent)


def test_a_mask_that_is_none_is_reported():
    for mask, words in ((torch.zeros(4), "expected .B, H, W."), (torch.full((1, 4, 4), torch.nan), "not finite")):
        with pytest.raises(ValueError, match=words):
            Region.execute(A, B, mask)
