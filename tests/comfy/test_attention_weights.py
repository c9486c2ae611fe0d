"""T5 weights in the attention: weight 0 equals deleting the row, weight 2 repeating it, weight 1 no change."""

import comfy.ldm.modules.attention as attention
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom

from flux_duet.nodes.condition.blocks import Depth
from flux_duet.nodes.condition.controls import Bias, has_controls, put_controls
from flux_duet.nodes.condition.nodes import DualPrompt, SplitConditioning
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.sample.attention import DuetAttention
from flux_duet.nodes.sample.attention_groups import TokenLayout
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import randn, relative

pytestmark = pytest.mark.usefixtures("as_executed")

LATENT = {"samples": torch.zeros(1, 16, 8, 8)}
ROW = 3  # of the tests' prompt


TXT = randn(1, 1, 9, 64)


def prompt(txt: torch.Tensor = TXT, weights: list[float] | None = None, seed: int = 2) -> list:
    extras = {"pooled_output": randn(seed, 1, 64), "guidance": 3.5}
    if weights is not None:
        extras = put_controls(extras, [Bias(torch.tensor([weights]).log())])
    return [[txt, extras]]


def weighted(weight: float, length: int = 9) -> list:
    return prompt(weights=[weight if row == ROW else 1.0 for row in range(length)])


def sampled(model, *prompts, **options) -> torch.Tensor:
    return sampling.sampled(model, *prompts, **{"latent": LATENT, "steps": 3, **options})["samples"]


def natively(model, *prompts, **options) -> torch.Tensor:
    return sampling.natively(model, *prompts, **{"latent": LATENT, "steps": 3, **options})["samples"]


# ---- identities


def test_weight_zero_is_the_row_deleted(model):
    deleted = torch.cat([TXT[:, :ROW], TXT[:, ROW + 1 :]], 1)
    assert relative(sampled(model, weighted(0.0)), sampled(model, prompt(deleted))) < 5e-6
    assert relative(sampled(model, prompt(deleted)), sampled(model, prompt())) > 1e-3


@pytest.mark.parametrize("times", [2, 3])
def test_a_whole_weight_is_the_row_so_many_times(model, times):
    repeated = torch.cat([TXT, *[TXT[:, ROW : ROW + 1]] * (times - 1)], 1)
    assert relative(sampled(model, weighted(times)), sampled(model, prompt(repeated))) < 5e-6


def test_weight_one_is_no_weight(model):
    assert torch.equal(sampled(model, weighted(1.0)), sampled(model, prompt()))
    assert torch.equal(sampled(model, prompt()), natively(model, prompt()))


def test_columns_beyond_the_weights_weigh_one(model):
    """A CONDITIONING that native nodes have made longer keeps the weights of its first rows."""
    longer = torch.cat([TXT, randn(8, 1, 4, 64)], 1)
    short = [[longer, weighted(2.0)[0][1]]]
    repeated = torch.cat([longer, TXT[:, ROW : ROW + 1]], 1)
    assert relative(sampled(model, short), sampled(model, prompt(repeated))) < 5e-6


# ---- which prompt's weights act


def test_native_samplers_behind_apply_duet(model):
    ready = ApplyDuet.execute(model)[0]
    assert torch.equal(natively(ready, weighted(2.0)), sampled(model, weighted(2.0)))
    assert torch.equal(natively(ApplyDuet.execute(ready)[0], weighted(2.0)), sampled(model, weighted(2.0)))
    noise, sampler = custom.RandomNoise.execute(5)[0], custom.KSamplerSelect.execute("euler")[0]
    sigmas = custom.BasicScheduler.execute(ready, "simple", 3, 1.0)[0]
    guider = custom.BasicGuider.execute(ready, weighted(2.0))[0]
    out = custom.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, LATENT)[0]["samples"]
    assert torch.equal(out, sampled(model, weighted(2.0)))


def test_without_apply_duet_there_is_an_error_and_a_cure(model):
    with pytest.raises(ValueError, match="T5 weights in the attention.*Apply Duet.*MMDiT Sampler"):
        natively(model, weighted(2.0))
    assert torch.equal(natively(model, prompt()), sampled(model, prompt()))  # and nothing is left behind


def test_apply_duet_changes_nothing_else(model):
    before = dict(model.model_options["transformer_options"])
    ready = ApplyDuet.execute(model)[0]
    assert torch.equal(natively(ready, prompt()), natively(model, prompt()))
    assert model.model_options["transformer_options"] == before and not model.wrappers.get("diffusion_model")


@pytest.mark.parametrize("length", [9, 14])
def test_each_prompt_has_its_own_weights(model, length):
    """Positive and negative go through the model together where they are of one length, else one by one."""
    other = randn(7, 1, length, 64)
    repeated = torch.cat([TXT, TXT[:, ROW : ROW + 1]], 1)
    expected = sampled(model, prompt(repeated), prompt(other, seed=9), cfg=3.0)
    plain = prompt(other, seed=9)
    neutral = prompt(other, [1.0] * length, seed=9)  # with controls, too: then both are one batch
    for negative in (plain, neutral):
        assert relative(sampled(model, weighted(2.0), negative, cfg=3.0), expected) < 5e-6
    swapped = sampled(model, plain, weighted(2.0), cfg=3.0)
    assert relative(swapped, sampled(model, plain, prompt(repeated), cfg=3.0)) < 5e-6


def test_a_batch_of_pictures(model):
    latent = {"samples": torch.zeros(2, 16, 8, 8)}
    repeated = torch.cat([TXT, TXT[:, ROW : ROW + 1]], 1)
    expected = sampled(model, prompt(repeated), latent=latent)
    assert relative(sampled(model, weighted(2.0), latent=latent), expected) < 5e-6


def test_weights_go_with_the_t5_stream(model):
    vec, txt, guidance = SplitConditioning.execute(weighted(2.0)).result
    assert torch.equal(sampled(model, DualPrompt.execute(vec, txt, guidance)[0]), sampled(model, weighted(2.0)))
    other = SplitConditioning.execute(prompt(randn(3, 1, 9, 64))).result[1]
    assert not has_controls(DualPrompt.execute(vec, other, guidance)[0])


def biased_attention(bias: torch.Tensor, inner=None) -> DuetAttention:
    return DuetAttention((Bias(bias),), TokenLayout(bias.shape[1], 1, 1), Depth(1, 1), inner)


@pytest.mark.parametrize("name", ["attention_basic", "attention_sub_quad", "attention_split", "attention_pytorch"])
def test_every_attention_of_comfyui_takes_the_bias(name):
    q, k, v = (randn(seed, 2, 3, length, 16) for seed, length in ((1, 40), (2, 40), (3, 40)))
    bias = torch.randn(2, 7, generator=torch.Generator().manual_seed(4))
    logits = q @ k.mT / 4
    logits[..., :7] += bias[:, None, None]
    dense = (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)
    biased = biased_attention(bias)
    out = biased(getattr(attention, name), q, k, v, 3, skip_reshape=True)
    assert torch.allclose(out, dense, atol=1e-5) and biased.called


@pytest.mark.parametrize(
    "shape, boolean", [((40, 40), True), ((40, 40), False), ((2, 40, 40), False), ((2, 3, 40, 40), True)]
)
def test_a_mask_that_is_there_already_still_masks(shape, boolean):
    mask = randn(9, *shape)
    mask = mask > -1 if boolean else mask
    q, k, v = (randn(seed, 2, 3, 40, 16) for seed in (1, 2, 3))
    bias = randn(4, 2, 7)
    added = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else mask
    logits = q @ k.mT / 4 + (added[:, None] if added.ndim == 3 else added)
    logits[..., :7] += bias[:, None, None]
    dense = (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)
    out = biased_attention(bias)(attention.attention_pytorch, q, k, v, 3, mask=mask, skip_reshape=True)
    assert torch.allclose(out, dense, atol=1e-5)


def test_an_override_of_another_pack_still_runs():
    seen = []

    def inner(function, *args, **kwargs):
        seen.append(kwargs["mask"])
        return function(*args, **kwargs)

    q, k, v = (randn(seed, 1, 1, 8, 16) for seed in (1, 2, 3))
    biased_attention(torch.zeros(1, 2), inner)(attention.attention_pytorch, q, k, v, 1, skip_reshape=True)
    assert [list(mask.shape) for mask in seen] == [[1, 1, 1, 8]]  # one row for all queries


# ---- from text


def test_t5_encode_takes_the_weights_out_of_the_rows(singles):
    clip, t5 = singles
    plain, attended = (T5Encode.execute(t5, "a (red:2) circle", weights=mode)[0] for mode in ("embedding", "attention"))
    unweighted = T5Encode.execute(t5, "a red circle")[0]
    assert torch.equal(attended.spans[0].tensor, unweighted.spans[0].tensor)
    assert not torch.equal(plain.spans[0].tensor, unweighted.spans[0].tensor)
    conditioning = DualPrompt.execute(ClipEncode.execute(clip, "")[0], attended, 3.5)[0]
    assert has_controls(conditioning)
    bias = conditioning[0][1]["model_conds"]["flux_duet"].controls[0].columns
    words = t5.tokenize("a (red:2) circle")["t5xxl"][0]
    assert bias.exp().tolist() == [[pytest.approx(weight) for _, weight in words]]


def test_neutral_weights_leave_nothing_in_the_conditioning(singles):
    clip, t5 = singles
    for text, mode in (("a red circle", "attention"), ("a (red:1) circle", "attention"), ("a (red:2) circle", "off")):
        txt = T5Encode.execute(t5, text, weights=mode)[0]
        assert not has_controls(DualPrompt.execute(ClipEncode.execute(clip, "")[0], txt, 3.5)[0])


def test_off_reads_parentheses(singles):
    _, t5 = singles
    off = T5Encode.execute(t5, "a (red:2) circle", weights="off")[0]
    escaped = T5Encode.execute(t5, r"a \(red:2\) circle")[0]
    assert torch.equal(off.spans[0].tensor, escaped.spans[0].tensor)


def test_a_weight_below_zero_says_what_it_does(singles):
    out = T5Encode.execute(singles[1], "a (red:-1) circle", weights="attention")
    assert "'red'" in out.ui["text"][0]
    assert torch.isneginf(out[0].spans[0].bias).any()
