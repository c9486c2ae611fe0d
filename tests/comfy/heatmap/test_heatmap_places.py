"""Token Heatmap where a prompt has a part of the picture: areas, masks, several entries. Each map stands in its place,
with the share that ComfyUI gives the prompt there."""

from functools import partial

import pytest
import torch

import nodes
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.reading import Choice, masses
from flux_duet.nodes.probe.heat.tokens import wanted
from flux_duet.tests.comfy import dense, sampling

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS, BLOCKS = 2, 5
HEIGHT, WIDTH = 24, 21  # odd: the last tokens are half of one
LATENT = {"samples": torch.zeros(1, 16, HEIGHT, WIDTH)}
AREA = (11, 13, 5, 3)  # height, width, top, left, in latent pixels


@pytest.fixture(scope="module")
def prompts(singles):
    with torch.inference_mode():
        clip, t5 = singles
        vec = ClipEncode.execute(clip, "on paper")[0]
        txts = [T5Encode.execute(t5, text)[0] for text in ("a red circle", "a blue star at night")]
        return txts[0], [DualPrompt.execute(vec, txt, 3.5)[0] for txt in txts]


def area(conditioning, area=AREA, strength=1.0):
    height, width, top, left = (8 * side for side in area)
    return nodes.ConditioningSetArea().append(conditioning, width, height, left, top, strength)[0]


def combined(*conditionings):
    return [entry for each in conditionings for entry in each]


def masked(conditioning, mask, bounds="default", strength=1.0):
    return nodes.ConditioningSetMask().append(conditioning, mask, bounds, strength)[0]


def corner() -> torch.Tensor:
    mask = torch.zeros(1, HEIGHT * 8, WIDTH * 8)
    mask[:, 24:128, 16:96] = 1.0
    mask[:, 24:64, 16:96] = 0.5
    return mask


CASES = {  # (the CONDITIONING of both prompts, which of its entries are the watched prompt's)
    "an area": lambda a, b: (combined(area(a), b), [0]),
    "an area alone": lambda a, b: (area(a), [0]),
    "areas that overlap": lambda a, b: (combined(area(a), area(b, (12, 9, 8, 10), 2.0)), [0]),
    "two areas of one prompt": lambda a, b: (combined(area(a), area(a, (8, 8, 16, 13)), b), [0, 1]),
    "a percentage": lambda a, b: (
        combined(b, nodes.ConditioningSetAreaPercentage().append(a, 0.55, 0.35, 0.2, 0.45, 1.0)[0]),
        [1],
    ),
    "a mask": lambda a, b: (combined(masked(a, corner()), masked(b, 1 - corner())), [0]),
    "a mask's bounds": lambda a, b: (combined(masked(a, corner(), "mask bounds", 0.7), b), [0]),
    "two whole prompts": lambda a, b: (combined(a, nodes.ConditioningSetAreaStrength().append(b, 3.0)[0]), [0]),
    "a default": lambda a, b: (combined(masked(b, corner()), [[a[0][0], {**a[0][1], "default": True}]]), [1]),
}


sampled = partial(sampling.natively, latent=LATENT, steps=STEPS)


def expected_of(model, positive, numbers, rows, cfg=1.0, negative=None):
    """[steps, blocks, tokens]"""
    clone, calls = dense.watching(model)
    seen = {}

    def spy(executor, *args, **kwargs):
        seen.update(executor.class_obj.conds)
        return executor(*args, **kwargs)

    clone.add_wrapper_with_key("predict_noise", "test", spy)
    sampled(clone, positive, negative, cfg)
    total = 0
    for number in numbers:
        entry, weight = seen["positive"][number], dense.weight_of(model, positive, number, LATENT)
        own = [call for call in calls if call.uuid == entry["uuid"] and call.index == 0]
        place = entry.get("area")
        if place is not None:
            place = (min(place[0], HEIGHT - place[2]), min(place[1], WIDTH - place[3]), *place[2:])
        found = torch.stack([call.share[0, 256:, rows].sum(-1) for call in own])
        maps = torch.stack([dense.by_pixels(each, weight, place) for each in found])
        total = total + maps
    return total.flatten(1).unflatten(0, (STEPS, BLOCKS))


@pytest.mark.parametrize("case", CASES)
def test_a_map_stands_in_its_place(model, prompts, case):
    txt, (a, b) = prompts
    positive, numbers = CASES[case](a, b)
    ready, probe = Heatmap.execute(model, txt, "red circle").result
    latent = sampled(ready, positive)
    assert torch.equal(latent["samples"], sampled(model, positive)["samples"])
    reading = probe.reading(latent)
    rows = wanted(txt, "red circle").rows(0).tolist()
    expected = expected_of(model, positive, numbers, rows)
    assert reading.size == (12, 11) and reading.maps.shape == (STEPS, BLOCKS, 1, 1, 132)
    assert (reading.maps[:, :, 0, 0] - expected).abs().max() < 1e-6
    assert expected.max() > 1e-3
    weights = sum(dense.weight_of(model, positive, number, LATENT) for number in numbers)
    assert reading.acts == pytest.approx(float(weights.mean()), abs=1e-5)
    ShowHeatmap.execute(probe, latent)


@pytest.mark.parametrize("cfg", [1.0, 2.0])
def test_shares_are_of_where_the_prompt_acts(model, prompts, cfg):
    """The same mean, by pixels: a word's share times the part of the picture is its map's sum. With true CFG ComfyUI
    hands the area to the negative too, under the positive's id."""
    txt, (a, b) = prompts
    positive = combined(area(a), b)
    ready, probe = Heatmap.execute(model, txt, "red").result
    reading = probe.reading(sampled(ready, positive, b, cfg))
    expected = expected_of(model, positive, [0], wanted(txt, "red").rows(0).tolist(), cfg, b)
    assert reading.role == "positive"
    assert (reading.maps[:, :, 0, 0] - expected).abs().max() < 1e-6
    cells = torch.ones(12, 11)
    cells[:, -1] = 0.5  # the picture ends within the last tokens
    mean = (expected * cells.flatten()).sum(-1) / cells.sum()
    assert torch.allclose(reading.groups[:, :, 0, 0] * reading.acts, mean, atol=1e-6)
    assert masses(reading, Choice())["red"] == pytest.approx(float(mean.mean()) / reading.acts, rel=1e-4)


@pytest.mark.parametrize("measure", ["flow", "output"])
def test_other_measures_stand_in_their_place_too(model, prompts, measure):
    txt, (a, b) = prompts
    positive = area(a, (12, 12, 4, 4))
    ready, probe = Heatmap.execute(model, txt, "red, circle", measure).result
    latent = sampled(ready, positive)
    assert torch.equal(latent["samples"], sampled(model, positive)["samples"])
    found = probe.reading(latent).maps.unflatten(-1, (12, 11))
    inside = torch.zeros(12, 11, dtype=torch.bool)
    inside[2:8, 2:8] = True
    assert not found[..., ~inside].any() and (found[..., inside] > 0).all()
