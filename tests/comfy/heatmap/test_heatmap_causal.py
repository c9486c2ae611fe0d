"""The measure causal: the squared change of the velocity when a word is left out, from the model itself."""

from dataclasses import replace

import comfy.samplers
import pytest
import torch

import nodes
from flux_duet.nodes.condition.place.nodes import Region
from flux_duet.nodes.encode.nodes import T5Encode
from flux_duet.nodes.encode.tokens.lengths import T5_PAD
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.reading import Choice, maps, masses
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy.heatmap.runs import HEIGHT, WIDTH, prompt, sampled, watched

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

WORDS = ["red", "redder ring"]
WITHOUT = ["a circle, and a redder ring at night", "a red circle, and a at night"]


def causal(model, t5, streams, positive=None, words=WORDS, at="1, 0.5", noises=1, **run):
    given = {"clip": t5, "at": at, "noises": noises}
    positive = prompt(streams) if positive is None else positive
    return watched(model, streams["txt"], positive, ", ".join(words), "causal", heatmap=given, **run)


def velocities(model, positives: list, x: torch.Tensor, sigma: float) -> list[torch.Tensor]:
    """The velocity of each prompt on the same x, evaluated by ComfyUI's sampler function alone."""
    found = []

    def no_step(denoise, noised, sigmas, extra_args=None, **_):
        found.append((x - denoise(x, sigmas[:1].expand(len(x)), **extra_args)) / sigma)
        return noised

    for positive in positives:
        guider = comfy.samplers.CFGGuider(model.clone())
        guider.set_conds(positive, positive)
        guider.set_cfg(1.0)
        solver = comfy.samplers.KSAMPLER(no_step)
        guider.sample(torch.zeros_like(x), torch.zeros_like(x), solver, torch.tensor([sigma, 0.0]), disable_pbar=True)
    return found


def seen_x(model, positive) -> list[tuple[torch.Tensor, float]]:
    """(x_t, sigma) of each step of the run."""
    found, clone = [], model.clone()

    def keep(apply, given):
        found.append((given["input"].clone(), float(given["timestep"][0])))
        return apply(given["input"], given["timestep"], **given["c"])

    clone.set_model_unet_function_wrapper(keep)
    sampled(clone, positive)
    return found


def shorter(t5, txt, text: str, **options):
    """`text`, the prompt txt without a word, encoded and then cut by the word's rows, as Word Ablation does it."""
    again = T5Encode.execute(t5, text, **options)[0]
    counts = [sum(token != T5_PAD for token, _ in each.source.tokens[0]) for each in (txt, again)]
    (span,), kept = again.spans, 256 - counts[0] + counts[1]
    bias = None if span.bias is None else span.bias[:, :kept]
    return replace(again, spans=(replace(span, tensor=span.tensor[:, :kept], bias=bias),))


def by_token(plain, other) -> torch.Tensor:
    squares = (plain - other).square().sum(1)  # [B, h, w]
    return squares.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).sum((2, 4)).flatten(1)


def test_maps_are_those_of_a_direct_evaluation(model, singles, streams):
    reading, latent = causal(model, singles[1], streams)
    assert torch.equal(latent["samples"], sampled(model, prompt(streams))["samples"])
    assert reading.words == tuple(WORDS) and reading.numbers == (0, 2) and reading.blocks == 1
    steps = seen_x(model, prompt(streams))
    for at, number in enumerate(reading.numbers):
        x, sigma = steps[number]
        assert sigma == pytest.approx(reading.sigmas[at], abs=1e-6)
        without = [prompt(streams, shorter(singles[1], streams["txt"], text)) for text in WITHOUT]
        plain, *others = velocities(model, [prompt(streams), *without], x, sigma)
        for word, other in enumerate(others):
            expected = by_token(plain, other)
            assert expected.mean() > 1e-6
            assert torch.allclose(reading.maps[at, 0, :, word], expected, rtol=1e-3, atol=1e-6 * expected.max())
            change = (plain - other).norm() / plain.norm()
            assert reading.groups[at, 0, 0, word] == pytest.approx(float(change), rel=1e-3)
    assert list(masses(reading, Choice())) == WORDS


def test_several_noises(model, singles, streams):
    """Others than the run's own are put on the x_0 of its prediction."""
    one, _ = causal(model, singles[1], streams, words=["red"], at="0.8")
    reading, latent = causal(model, singles[1], streams, words=["red"], at="0.8", noises=2)
    assert torch.equal(latent["samples"], sampled(model, prompt(streams))["samples"])
    x, sigma = seen_x(model, prompt(streams))[reading.numbers[0]]
    (plain,) = velocities(model, [prompt(streams)], x, sigma)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    other = sigma * noise + (1 - sigma) * (x - sigma * plain)
    without = prompt(streams, shorter(singles[1], streams["txt"], WITHOUT[0]))
    again = by_token(*velocities(model, [prompt(streams), without], other, sigma))
    assert torch.allclose(reading.maps[0, 0, :, 0], (one.maps[0, 0, :, 0] + again) / 2, rtol=2e-3)


def test_in_a_batch_beside_a_negative_and_under_a_mask(model, singles, streams):
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., 4:, :] = 1
    latent = {"samples": torch.zeros(2, 16, HEIGHT, WIDTH), "noise_mask": mask}
    both = {"negative": prompt(streams, "long"), "cfg": 2.0, "latent": latent}
    reading, out = causal(model, singles[1], streams, at="0.9", words=["red"], **both)
    assert torch.equal(out["samples"], sampled(model, prompt(streams), **both)["samples"])
    assert reading.maps.shape == (1, 1, 2, 1, 15) and not torch.equal(reading.maps[:, :, 0], reading.maps[:, :, 1])
    assert not reading.maps[..., :6].any() and reading.maps[..., 6:].min() > 0
    assert reading.shares_repainted == [pytest.approx(0.6)] * 2


@pytest.mark.parametrize("made", ["region", "weights", "area"])
def test_a_word_is_left_out_of_what_nodes_have_made_of_the_prompt(model, singles, streams, made):
    """The map equals that of the same graph with another prompt, evaluated directly."""
    t5, ready = singles[1], ApplyDuet.execute(model)[0]
    txt, word, without = streams["txt"], "red", shorter(t5, streams["txt"], WITHOUT[0])
    if made == "weights":
        text = "a red circle, and a (redder:2.5) ring at (night:0)"
        txt, word = streams["weighted"], "circle"
        without = shorter(t5, txt, text.replace(" circle", ""), weights="attention")

    def positive(own) -> list:
        if made == "region":
            return prompt(streams, Region.execute(streams["long"], own, torch.ones(1, 4, 4).tril())[0])
        plain = prompt(streams, own)
        return plain if made == "weights" else nodes.ConditioningSetArea().append(plain, 8 * WIDTH, 32, 0, 0, 1.0)[0]

    reading, latent = watched(model, txt, positive(txt), word, "causal", heatmap={"clip": t5, "at": "1"})
    assert torch.equal(latent["samples"], sampled(model, positive(txt))["samples"])
    x, sigma = seen_x(model, prompt(streams))[0]
    expected = by_token(*velocities(ready, [positive(txt), positive(without)], x, sigma))
    assert expected.max() > 1e-6
    assert torch.allclose(reading.maps[0, 0, :, 0], expected, rtol=2e-3, atol=1e-6 * expected.max())
    if made == "area":
        assert not reading.maps[..., 6:].any() and reading.maps[..., :6].min() > 0


def test_it_is_shown(model, singles, streams, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    ready, probe = Heatmap.execute(model, streams["txt"], "red, ring", "causal", clip=singles[1], at="1, 0.1").result
    latent = sampled(ready, prompt(streams))
    picture, found, words, data, _ = ShowHeatmap.execute(probe, latent, blocks="14-17").result
    assert words == "red\nring" and found.shape[0] == 2 and picture.ndim == 4 and '"causal"' in data
    reading = probe.reading(latent)
    assert torch.equal(maps(reading, Choice()), maps(reading, Choice(last=0)) / 2 + maps(reading, Choice(first=1)) / 2)


def test_what_cannot_be_measured_is_reported(model, singles, streams):
    with pytest.raises(ValueError, match="it needs T5. Connect the CLIP of T5 Encode to `clip`"):
        causal(model, None, streams)
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        causal(model, singles[1], streams, at="high")
    with pytest.raises(ValueError, match="no attention heads"):
        watched(model, streams["txt"], prompt(streams), "red", "causal", heatmap={"clip": singles[1], "heads": True})
    with pytest.raises(ValueError, match="not part of the positive prompt"):
        causal(model, singles[1], streams, prompt(streams, "long"))
    (span,) = streams["txt"].spans
    changed = replace(streams["txt"], spans=(replace(span, tensor=span.tensor * 1.5),))
    with pytest.raises(ValueError, match="encodes this prompt differently"):
        watched(model, changed, prompt(streams, changed), "red", "causal", heatmap={"clip": singles[1]})
