"""Token Heatmap with nodes that change the attention: references, cached keys, step caches, sharp attention."""

import json
from functools import partial

import comfy_extras.nodes_easycache as easycache
import comfy_extras.nodes_edit_model as edit
import comfy_extras.nodes_flux as flux
import pytest
import torch

import nodes
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.heat import stored
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.reading import Choice, maps, masses
from flux_duet.nodes.probe.heat.tokens import wanted
from flux_duet.tests.comfy import dense, sampling

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS, BLOCKS, IMAGE = 3, 5, 15
LATENT = {"samples": torch.zeros(1, 16, 10, 6)}


@pytest.fixture(scope="module")
def txt(singles):
    with torch.inference_mode():
        return T5Encode.execute(singles[1], "a red circle at night")[0]


@pytest.fixture(scope="module")
def positive(singles, txt):
    with torch.inference_mode():
        return DualPrompt.execute(ClipEncode.execute(singles[0], "on paper")[0], txt, 3.5)[0]


sampled = partial(sampling.natively, latent=LATENT, steps=STEPS)


def with_references(positive):
    for seed, size in ((1, (8, 6)), (2, (6, 10))):
        reference = torch.randn(1, 16, *size, generator=torch.Generator().manual_seed(seed))
        positive = edit.ReferenceLatent.execute(positive, {"samples": reference})[0]
    return flux.FluxKontextMultiReferenceLatentMethod.execute(positive, "index")[0]


@pytest.mark.parametrize("measure", ["mass", "flow", "output"])
@pytest.mark.parametrize("keeps_keys", [False, True])
def test_reference_images(model, txt, positive, keeps_keys, measure):
    """With FluxKVCache there are fewer queries than columns from the second step on. (FLUX.1's blocks know no reference
    images at time zero, its default method, natively.)"""
    model = flux.FluxKVCache.execute(model)[0] if keeps_keys else model
    positive = with_references(positive)
    clone, calls = dense.watching(model)
    plain = sampled(clone, positive)
    ready, probe = Heatmap.execute(model, txt, "red, circle", measure).result
    latent = sampled(ready, positive)
    assert torch.equal(latent["samples"], plain["samples"])
    found = probe.reading(latent)
    rows = [wanted(txt, "red, circle").rows(number) for number in range(2)]
    share = torch.stack(
        [torch.stack([call.share[0, 256 : 256 + IMAGE, own].sum(-1) for own in rows]) for call in calls]
    ).unflatten(0, (STEPS, BLOCKS))
    if measure == "mass":
        assert (found.maps[:, :, 0] - share).abs().max() < 1e-6
    assert torch.allclose(found.groups[:, :, 0, :2], share.mean(-1), atol=1e-6)
    assert (found.maps > 0).all()
    if keeps_keys:
        sizes = [tuple(call.share.shape[1:]) for call in calls]
        assert sizes[0][0] == sizes[0][1] and sizes[-1][0] == 256 + IMAGE < sizes[-1][1]


def test_easy_cache(model, txt, positive):
    """A step that the cache skips is not in the reading."""
    ready, probe = Heatmap.execute(model, txt, "red").result
    cached = easycache.EasyCacheNode.execute(ready, 10.0, 0.1, 0.95, False)[0]
    plain = sampled(easycache.EasyCacheNode.execute(model, 10.0, 0.1, 0.95, False)[0], positive, steps=8)
    latent = sampled(cached, positive, steps=8)
    assert torch.equal(latent["samples"], plain["samples"])
    assert 0 < len(probe.reading(latent).numbers) < 8


def test_sharp_attention_loses_nothing(model, txt, positive, tmp_path):
    """With attention sixteen times sharper, many shares are below the smallest half-precision number; none is 0."""

    def sharper(q, k, v, **_):
        return {"q": q * 16, "k": k, "v": v}

    model = model.clone()
    model.set_model_attn1_patch(sharper)
    clone, calls = dense.watching(model)
    sampled(clone, positive)
    ready, probe = Heatmap.execute(model, txt, "red, night").result
    reading = probe.reading(sampled(ready, positive))
    rows = [wanted(txt, "red, night").rows(number) for number in range(2)]
    expected = torch.stack(
        [torch.stack([call.share[0, -IMAGE:, own].sum(-1) for own in rows]) for call in calls]
    ).unflatten(0, (STEPS, BLOCKS))
    assert (expected.half() == 0).float().mean() > 0.2, "half precision would lose these"
    assert (expected > 0).all()
    torch.testing.assert_close(reading.maps[:, :, 0], expected, rtol=1e-3, atol=0)
    name = stored.store(reading, tmp_path)
    seen = stored.look(tmp_path / f"{name}{stored.SUFFIX}", Choice())
    torch.testing.assert_close(seen.maps.flatten(1), expected.mean((0, 1)), rtol=1e-3, atol=0)


# ---- a ControlNet, whose output is an argument of the forward


def test_a_control_net_is_no_set_of_options(model, txt, positive):
    from flux_duet.nodes.probe.influence.nodes import Influence
    from flux_duet.tests.comfy.inputs import randn
    from flux_duet.tests.comfy.test_sampler import control_net

    applied = nodes.ControlNetApplyAdvanced().apply_controlnet(
        positive, positive, control_net(model), randn(9, 1, 80, 48, 3), 0.8, 0.0, 1.0
    )[0]
    ready, probe = Influence.execute(model, "zeros", 1).result
    alone = probe.reading(sampled(ready, positive))
    latent = sampled(ready, applied)
    assert torch.equal(latent["samples"], sampled(model, applied)["samples"])
    reading = probe.reading(latent)
    assert reading.modulation() == alone.modulation() is not None, "without picture and ControlNet"
    assert reading.rows == alone.rows == (STEPS, 4 * STEPS)
    ready, probe = Heatmap.execute(model, txt, "red, circle").result
    clone, calls = dense.watching(model)
    plain, latent = sampled(clone, applied), sampled(ready, applied)
    assert torch.equal(latent["samples"], plain["samples"])
    rows = wanted(txt, "red").rows(0)
    flux_s = [call for call in calls if call.share.shape[1] == 256 + IMAGE][-BLOCKS:]
    expected = torch.stack([call.share[0, -IMAGE:, rows].sum(-1) for call in flux_s])
    assert (probe.reading(latent).maps[-1, :, 0, 0] - expected).abs().max() < 1e-6


# ---- a batch


def test_a_batch_is_shown_picture_by_picture(model, txt, positive, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    ready, probe = Heatmap.execute(model, txt, "red, circle").result
    latent = sampled(ready, positive, latent={"samples": torch.zeros(3, 16, 10, 6)})
    reading, images = probe.reading(latent), torch.rand(3, 80, 48, 3)
    out = ShowHeatmap.execute(probe, latent, images, word="circle")
    sheets, found, words, metadata, one = out.result
    assert len(sheets) == 3 and found.shape == (6, 80, 48) and words == "red\ncircle" and one.shape == (3, 80, 48)
    assert torch.equal(one, found[1::2])
    shares = json.loads(metadata)
    for number in range(3):
        alone = {
            **vars(reading),
            "maps": reading.maps[:, :, number : number + 1],
            "groups": reading.groups[:, :, number : number + 1],
        }
        single = type(reading)(**alone)
        other = type(probe)("Token Heatmap")
        other.keep(latent["samples"][number : number + 1], single)
        page, its, *_ = ShowHeatmap.execute(
            other, {"samples": latent["samples"][number : number + 1]}, images[number : number + 1]
        ).result
        torch.testing.assert_close(found[2 * number : 2 * number + 2], its)
        assert page.shape[1:] == sheets.shape[1:]
        assert (page[0, 100:] - sheets[number, 100:]).abs().max() < 0.01, "all but the title is equal"
        assert shares["pictures"][number]["shares"] == pytest.approx(masses(single, Choice()))
    assert not torch.equal(sheets[0], sheets[1])
    assert out.ui["flux_duet_heatmap"][0]["pictures"] == 3
    assert maps(reading, Choice()).shape[0] == 3
    with pytest.raises(ValueError, match="got 2 pictures for a LATENT of 3"):
        ShowHeatmap.execute(probe, latent, images[:2])
