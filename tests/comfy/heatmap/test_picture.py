"""Heatmap of a Picture: its maps are those of native one-step runs, for every measure, size and batch."""

import random
from statistics import mean

import comfy.model_management
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom

import nodes
from flux_duet.nano import scenes
from flux_duet.nano.pipeline import Pipeline
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.heat.choices import CONCEPT, MEASURES, PRODUCT
from flux_duet.nodes.probe.heat.nodes import ConceptHeatmap, Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.reading import Choice, maps
from flux_duet.nodes.probe.picture.fitting import Fit
from flux_duet.nodes.probe.picture.looking import Question, encoded, looked
from flux_duet.nodes.probe.picture.nodes import PictureHeatmap

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

WORDS, SIGMA, NOISES, SEED = "red, circle", 0.6, 2, 7


def pictures(*size: int, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, *size, 3, generator=torch.Generator().manual_seed(1))


def natively(model, dual, vae, image, measure, seed):
    """(Show Heatmap's masks, the LATENT) of one native step from the noised picture."""
    prompt = WORDS
    txt = T5Encode.execute(dual, prompt, weights="off")[0]
    positive = DualPrompt.execute(ClipEncode.execute(dual, prompt, weights=False)[0], txt, 3.5)[0]
    if measure == CONCEPT:
        ready, probe = ConceptHeatmap.execute(model, dual, WORDS, likeness=True).result
    else:
        options = {"clip": dual, "at": "1", "likeness": True}  # a run of one step has no other to measure at
        ready, probe = Heatmap.execute(model, txt, WORDS, measure, **options).result
    latent = nodes.VAEEncode().encode(vae, image)[0]
    out = custom.SamplerCustomAdvanced.execute(
        custom.RandomNoise.execute(seed)[0], custom.BasicGuider.execute(ready, positive)[0],
        custom.KSamplerSelect.execute("euler")[0], torch.tensor([SIGMA, 0.0]), latent,
    )[0]  # fmt: skip
    return probe, out


@pytest.mark.parametrize("measure", [CONCEPT, *MEASURES])
def test_maps_are_the_mean_of_native_steps(model, dual, vae, measure):
    image = pictures(48, 32)
    native = [natively(model, dual, vae, image, measure, SEED + number) for number in range(NOISES)]
    readings = [probe.reading(out) for probe, out in native]
    question = Question(WORDS, measure, sigma=SIGMA, noises=NOISES, seed=SEED, likeness=True)
    reading, settings = looked(model, dual, encoded(vae, image), question)
    assert reading.words == ("red", "circle") and reading.size == (3, 2) and reading.numbers == (0,)
    assert (reading.maps - torch.stack([each.maps for each in readings]).mean(0)).abs().max() < 1e-6
    assert (reading.groups - torch.stack([each.groups for each in readings]).mean(0)).abs().max() < 1e-6
    assert not torch.equal(readings[0].maps, readings[1].maps), "the noises differ"
    alike = torch.stack([each.likeness.values.float() for each in readings]).mean(0)
    assert (reading.likeness.values.float() - alike).abs().max() < 1e-3, "half precision"
    assert settings["seed"] == SEED and settings["sigmas"] == pytest.approx([SIGMA, 0])
    options = {"measure": measure, "sigma": SIGMA, "noises": 1, "seed": SEED}
    for refine in ("off", "spread"):
        mask = PictureHeatmap.execute(model, dual, vae, image, WORDS, "red", refine=refine, **options)[4]
        expected = ShowHeatmap.execute(*native[0], image, word="red", refine=refine)[4]
        assert torch.allclose(mask, expected, atol=1e-6) and mask.shape == (1, 48, 32)


def test_a_batch_is_its_pictures_one_by_one(model, dual, vae):
    batch = pictures(37, 53, batch=2)
    options = {"words": WORDS, "word": "circle", "noises": NOISES, "refine": "spread"}
    sheets, masks, names, _, mask = PictureHeatmap.execute(model, dual, vae, batch, **options).result
    assert len(sheets) == 2 and names == "red\ncircle"
    alone = [PictureHeatmap.execute(model, dual, vae, each[None], **options).result for each in batch]
    assert torch.equal(masks, torch.cat([each[1] for each in alone])) and masks.shape == (4, 37, 53)
    assert torch.equal(mask, torch.cat([each[4] for each in alone])) and torch.equal(mask, masks[1::2])
    assert not torch.equal(mask[0], mask[1])


def test_a_picture_of_another_size_is_filled_up_with_its_edges(model, dual, vae):
    """And a large one is scaled down for the model, while its mask is as large as the picture."""
    image = pictures(37, 53)
    filled = Fit.of((37, 53), 1.0).put(image)
    masks = [PictureHeatmap.execute(model, dual, vae, each, WORDS, noises=1)[1] for each in (image, filled)]
    assert masks[1].shape == (2, 48, 64) and torch.equal(masks[0], masks[1][:, :37, :53])
    small = PictureHeatmap.execute(model, dual, vae, image, WORDS, noises=1, megapixels=0.001)[1]
    assert small.shape == (2, 37, 53) and not torch.equal(small, masks[0])


def test_a_word_s_mask_repaints_its_place_alone(model, dual, vae):
    image = pictures(64, 64)
    mask = PictureHeatmap.execute(model, dual, vae, image, WORDS, masks="hard", noises=1)[4]
    assert set(mask.unique().tolist()) == {0, 1}
    latent = nodes.VAEEncode().encode(vae, image)[0]
    masked = nodes.SetLatentNoiseMask().set_mask(latent, mask)[0]
    positive = DualPrompt.execute(ClipEncode.execute(dual, "")[0], T5Encode.execute(dual, "a star")[0], 3.5)[0]
    out = nodes.KSampler().sample(model, 3, 2, 1.0, "euler", "simple", positive, positive, masked, 1.0)[0]
    changed = (out["samples"] - latent["samples"]).abs().amax(1)[0] > 1e-3
    inside = mask[0, 4::8, 4::8] > 0  # at the centre of each of the latent's pixels
    assert torch.equal(changed, inside) and 0 < inside.sum() < inside.numel()


def test_nothing_stays_on_the_model(model, dual, vae, monkeypatch):
    image, before = pictures(48, 32), repr(model.model_options)
    wanted = PictureHeatmap.execute(model, dual, vae, image, WORDS, noises=3)[1]
    flux, calls = model.model.diffusion_model, []
    forward = flux._forward

    def stop(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise comfy.model_management.InterruptProcessingException
        return forward(*args, **kwargs)

    monkeypatch.setattr(flux, "_forward", stop)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        PictureHeatmap.execute(model, dual, vae, image, WORDS, noises=3)
    monkeypatch.undo()
    assert len(calls) == 2 and repr(model.model_options) == before and not model.wrappers
    assert torch.equal(PictureHeatmap.execute(model, dual, vae, image, WORDS, noises=3)[1], wanted)


def test_without_clip_l_the_clip_prompt_is_zeros(model, singles, dual, vae):
    options = {"words": WORDS, "noises": 1}
    alone = PictureHeatmap.execute(model, singles[1], vae, pictures(48, 32), **options)[1]
    assert not torch.equal(alone, PictureHeatmap.execute(model, dual, vae, pictures(48, 32), **options)[1])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"words": ""}, "Heatmap of a Picture: got 0 `words`, expected 1 to 64"),
        (
            {"words": "red", "word": "blue"},
            "Heatmap of a Picture: `word` is 'blue', expected one of those recorded: red",
        ),
        ({"words": "red", "measure": "mass", "prompt": "a star"}, "Heatmap of a Picture: the T5 prompt has no word"),
        ({"words": "red", "vae": None}, "Heatmap of a Picture: got no VAE"),
        ({"words": "red", "blocks": "99"}, "names block 99"),
    ],
)
def test_what_cannot_be_looked_for_is_told(model, dual, vae, change, message):
    given = {"vae": vae, "image": pictures(48, 32), "noises": 1, **change}
    with pytest.raises(ValueError, match=message):
        PictureHeatmap.execute(model, dual, **given)


@pytest.mark.parametrize("measure, most", [(CONCEPT, 0.25), (PRODUCT, 0.1)])
def test_in_a_scene_that_was_never_sampled_the_map_points_at_the_object(measure, most):
    """Nano, rendered scenes: the share of the picture with more of the object's colour than at its centre is small.

    0.5 is chance.
    """
    rng, nano = random.Random(1), Pipeline()
    above = []
    for _ in range(6):
        scene = scenes.unseen_scene(rng, {1: 1.0})
        (item,) = scene.objects
        picture = torch.from_numpy(scenes.render(scene))[None].float() / 255
        question = Question(item.colour, measure, f"a {item.colour} {item.shape} at the {item.place}", noises=2)
        reading, _ = looked(nano.flux, nano.t5, encoded(nano.vae, picture), question)
        found = maps(reading, Choice())[0, 0]
        column, row = (int(at * side) for at, side in zip(item.centre, reversed(found.shape), strict=True))
        above.append((found > found[row, column]).float().mean().item())
    assert mean(above) < most
