"""Token Heatmap with separate heads: each head's maps equal its dense softmax, and their mean the averaged maps."""

from functools import partial

import comfy.sd
import pytest
import torch

from flux_duet.nano import layouts
from flux_duet.nodes.condition.blocks import Blocks
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.heat import stored
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.reading import Choice, maps, masses
from flux_duet.nodes.probe.heat.tokens import wanted
from flux_duet.tests.comfy import sampling

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

LATENT = {"samples": torch.zeros(2, 16, 10, 6)}  # 5 x 3 tokens
IMAGE, BLOCKS, STEPS, WORDS = 15, 5, 2, "red, circle"


@pytest.fixture(scope="module")
def model(save_models):
    """One of two heads."""
    return comfy.sd.load_diffusion_model(str(save_models(layouts.Shape(hidden=256))["flux"]))


@pytest.fixture(scope="module")
def prompts(singles):
    with torch.inference_mode():
        clip, t5 = singles
        txt = T5Encode.execute(t5, "a red circle at night")[0]
        return txt, DualPrompt.execute(ClipEncode.execute(clip, "on paper")[0], txt, 3.5)[0]


sampled = partial(sampling.sampled, latent=LATENT, steps=STEPS)


def read(model, prompts, measure="mass", heads=True):
    txt, positive = prompts
    ready, probe = Heatmap.execute(model, txt, WORDS, measure, heads=heads).result
    latent = sampled(ready, positive)
    return probe, latent


def heads_of(model) -> int:
    return model.model.diffusion_model.params.num_heads


def dense(model, prompts) -> torch.Tensor:
    """[steps, blocks * heads, B, words, image] from the whole softmax."""
    txt, positive = prompts
    found, words, clone = [], wanted(txt, WORDS), model.clone()
    rows = [words.rows(number) for number in range(2)]

    def attend(func, q, k, v, heads, *args, mask=None, **kwargs):
        share = (q.float() @ k.float().mT * q.shape[-1] ** -0.5).softmax(-1)[:, :, -IMAGE:]  # [B, heads, image, L]
        found.append(torch.stack([share[..., each].sum(-1) for each in rows], 2).transpose(0, 1))
        return func(q, k, v, heads, *args, mask=mask, **kwargs)

    clone.model_options["transformer_options"]["optimized_attention_override"] = attend
    sampled(clone, positive)
    return torch.stack(found).unflatten(0, (STEPS, BLOCKS)).flatten(1, 2)


def test_each_head_s_maps_are_the_dense_softmax_s(model, prompts):
    probe, latent = read(model, prompts)
    reading, expected = probe.reading(latent), dense(model, prompts)
    assert heads_of(model) > 1 and reading.heads == heads_of(model) and reading.blocks == BLOCKS
    assert reading.maps.shape == expected.shape
    assert (reading.maps - expected).abs().max() < 1e-6
    assert (reading.groups[..., :2] - expected.mean(-1)).abs().max() < 1e-6
    assert (expected[:, 0] - expected[:, 1]).abs().max() > 1e-3, "the heads differ"


@pytest.mark.parametrize("measure", ["mass", "flow", "output"])
def test_apart_they_change_no_picture_and_together_they_are_the_mean(model, prompts, measure):
    apart, mean = (read(model, prompts, measure, heads) for heads in (True, False))
    assert torch.equal(apart[1]["samples"], mean[1]["samples"])
    assert torch.equal(apart[1]["samples"], sampled(model, prompts[1])["samples"])
    apart, mean = apart[0].reading(apart[1]), mean[0].reading(mean[1])
    if measure == "mass":  # flow and output of all heads together are not the mean of the heads'
        assert torch.allclose(maps(apart, Choice()), maps(mean, Choice()), atol=3e-4)
    assert masses(apart, Choice()) == pytest.approx(masses(mean, Choice()), abs=1e-6)
    one = [maps(apart, Choice(blocks=Blocks.parse("2"), head=head)) for head in range(apart.heads)]
    assert torch.allclose(torch.stack(one).mean(0), maps(apart, Choice(blocks=Blocks.parse("2"))), atol=1e-5)
    assert not torch.equal(one[0], one[1])


def test_flows_of_the_heads_bound_that_of_all(model, prompts):
    """Triangle inequality: the length of all heads' sum is at most the sum of their lengths, not the mean."""
    apart, mean = (read(model, prompts, "flow", heads) for heads in (True, False))
    apart = apart[0].reading(apart[1]).maps.float().unflatten(1, (BLOCKS, -1))
    mean = mean[0].reading(mean[1]).maps.float()
    total = apart.sum(2)
    assert (mean <= total * 1.01 + 1e-4).all() and mean.max() > 0
    longest, rest = apart.max(2).values, total - apart.max(2).values
    assert (mean >= longest - rest - 0.01 * total - 1e-4).all()


def test_a_head_is_shown_stored_and_checked(model, prompts, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    probe, latent = read(model, prompts)
    first, all_of_them = (ShowHeatmap.execute(probe, latent, head=head).result[1] for head in (0, -1))
    assert not torch.equal(first, all_of_them)
    reading = probe.reading(latent)
    stored.store(reading, tmp_path)
    choice = Choice(head=1)
    seen = stored.look(tmp_path / f"{reading.name}.safetensors", choice)
    assert torch.allclose(seen.maps, maps(reading, choice)[0], atol=1e-6)
    with pytest.raises(ValueError, match=f"heads 0 to {reading.heads - 1}"):
        ShowHeatmap.execute(probe, latent, head=reading.heads)
    averaged, other = read(model, prompts, heads=False)
    with pytest.raises(ValueError, match="mean of all heads was recorded"):
        ShowHeatmap.execute(averaged, other, head=0)
