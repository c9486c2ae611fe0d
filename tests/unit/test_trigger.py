"""Trigger Test's effects, intervals and verdicts, on velocities whose answer is known."""

import numpy
import pytest
import torch
from scipy import stats

from flux_duet.nodes.palette import LIGHT
from flux_duet.nodes.probe.trigger import draw
from flux_duet.nodes.probe.trigger.effects import (
    BOTH,
    CLIP,
    FLOOR,
    NEITHER,
    PLACES,
    T5,
    VELOCITY,
    interaction,
    lora_at,
    main_lora,
    main_word,
    ratio,
    squares,
    word_at,
)
from flux_duet.nodes.probe.trigger.reading import (
    ALWAYS,
    HALF,
    NOTHING,
    SLEEPS,
    WORD_ALONE,
    TriggerReading,
    as_json,
    sentence,
    table,
)
from flux_duet.nodes.probe.trigger.word import with_and_without

RANDOM = torch.Generator().manual_seed(0)


def randn() -> torch.Tensor:
    return torch.randn(1, 4, 5, 5, generator=RANDOM)


@pytest.mark.parametrize(
    ("prompt", "word", "instead", "given", "without"),
    [
        ("a photo of ohwx man at night", "ohwx man", "a man", "a photo of ohwx man at night",
         "a photo of a man at night"),
        ("sandy, a star", "sandy", "", "sandy, a star", "a star"),
        ("a star, sandy", "sandy", "", "a star, sandy", "a star"),
        ("a star, Sandy, at night", "sandy", "", "a star, Sandy, at night", "a star, at night"),
        ("a star", "sandy", "rocky", "sandy, a star", "a star"),
        ("", "sandy", "", "sandy", ""),
        ("  ", "sandy", "", "sandy", "  "),
        ("a sandy-brown sandys star", "sandy", "", "a sandy-brown sandys star", "a -brown sandys star"),
        ("ohwx   man", " ohwx man ", "", "ohwx   man", ""),
        ("in the style of c++", "c++", "", "in the style of c++", "in the style of"),
        ("x\n\ny sandy .", "sandy", "", "x\n\ny sandy .", "x\n\ny."),
        ("a (sandy:1.3) star", "sandy", "", "a (sandy:1.3) star", "a star"),
        ("a (sandy:1.3) star", "sandy", "rocky", "a (sandy:1.3) star", "a (rocky:1.3) star"),
        (r"sandy \1", "sandy", r"\1", r"sandy \1", r"\1 \1"),
    ],
)  # fmt: skip
def test_the_word_in_a_prompt(prompt, word, instead, given, without):
    assert with_and_without(prompt, word, instead) == (given, without)


def test_effects():
    values = {(on, place): randn() for on in (False, True) for place in PLACES}
    again = randn()
    found = squares(values, again)
    b, d = values[True, NEITHER], values[False, NEITHER]
    for place in (CLIP, T5, BOTH):
        a, c = values[True, place], values[False, place]
        design = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=torch.float64) / 4
        # Coefficients of the 2 x 2 design on (a, b, c, d): mean, LoRA, word, both; an effect is twice its coefficient.
        mean, lora, word, both = torch.tensordot(design, torch.stack([a, b, c, d]).double(), 1)
        assert found[main_lora(place)] == pytest.approx(float((2 * lora).square().sum()), rel=1e-5)
        assert found[main_word(place)] == pytest.approx(float((2 * word).square().sum()), rel=1e-5)
        assert found[interaction(place)] == pytest.approx(float((4 * both).square().sum()), rel=1e-5)
        assert found[lora_at(place)] == pytest.approx(float((a - c).square().sum()), rel=1e-5)
        assert found[word_at(place)] == pytest.approx(float((c - d).square().sum()), rel=1e-5)
    assert found[lora_at(NEITHER)] == pytest.approx(float((b - d).square().sum()), rel=1e-5)
    assert found[VELOCITY] == pytest.approx(float(d.square().sum()), rel=1e-5)
    assert found[FLOOR] == pytest.approx(float((again - d).square().sum()), rel=1e-5)


def test_intervals():
    """The jackknife's for a mean is the textbook's t interval; none with two seeds; a ratio's is near its spread."""
    seeds = [[{"x": value**2, "y": 1.0}] for value in (1.0, 1.02, 0.99, 1.01)]
    found = ratio(seeds, "x", "y")
    roots = numpy.array([each[0]["x"] for each in seeds])
    assert found.value == pytest.approx(roots.mean() ** 0.5)
    low, high = stats.t.interval(0.95, 3, roots.mean(), stats.sem(roots))
    assert found.interval == pytest.approx((low**0.5, high**0.5), rel=1e-3)
    assert ratio(seeds[:2], "x", "y").interval is None
    assert ratio([[{"x": 1.0, "y": 0.0}]] * 3, "x", "y") == (0.0, (0.0, 0.0))


def test_the_interval_holds_the_truth():
    """In nearly 95 of 100 experiments of five seeds."""
    numbers, held = numpy.random.default_rng(0), 0
    for _ in range(400):
        seeds = [[{"x": 1 + 0.2 * numbers.standard_normal(), "y": 2 + 0.3 * numbers.standard_normal()}]
                 for _ in range(5)]  # fmt: skip
        low, high = ratio(seeds, "x", "y").interval
        held += low < 0.5**0.5 < high
    assert 0.91 < held / 400 < 0.98


# ---- verdicts


def reading(neither=0.05, clip=0.05, t5=0.5, both=0.6, word=0.1, seeds=4, floor=0.0, vary=0.02, moments=2):
    """What the LoRA changes by the word's place; the word changes `word` everywhere; all orthogonal to the velocity."""
    rows = []
    for seed in range(seeds):
        off = 1 + vary * (seed - (seeds - 1) / 2)
        d = torch.zeros(1, 4, 1, 1)
        d[:, 0] = 1
        values = {}
        for place, size in zip(PLACES, (neither, clip, t5, both), strict=True):
            values[False, place] = d.clone()
            values[False, place][:, 1] = word if place != NEITHER else 0
            values[True, place] = values[False, place].clone()
            values[True, place][:, 2] = size * off
        again = d.clone()
        again[:, 3] = floor
        rows.append([squares(values, again)] * moments)
    texts = {NEITHER: ("", "a star"), CLIP: ("sandy", "a star"), T5: ("", "sandy, a star"), BOTH: ("sandy",) * 2}
    return TriggerReading("style.safetensors", 1.0, "sandy", texts, list(range(seeds)), [1.0, 0.5][:moments], rows, 12,
                          seeds, 9 * moments * seeds)  # fmt: skip


@pytest.mark.parametrize(
    ("given", "verdict", "words"),
    [
        ({}, SLEEPS, "The word activates it in the T5 prompt (83 % of the full effect), but not in the CLIP prompt (8"),
        ({"clip": 0.6}, SLEEPS, "The word in either prompt is enough to activate it: the CLIP prompt (100 % of"),
        ({"t5": 0.05}, SLEEPS, "The word activates it only in both prompts together"),
        ({"t5": 0.05, "clip": 0.5}, SLEEPS, "in the CLIP prompt (83 % of the full effect), but not in the T5 prompt"),
        ({"clip": 0.3}, SLEEPS, "it in the T5 prompt (83 % of the full effect), partly in the CLIP prompt (50 % of"),
        ({"clip": 0.3, "t5": 0.3}, SLEEPS, "The word in one prompt activates it only partly"),
        ({"neither": 0.3, "clip": 0.3}, HALF, "50 % of its effect is always present. The word activates it in the T5"),
        ({"neither": 0.6, "clip": 0.6, "t5": 0.6}, ALWAYS, "style.safetensors is always active, 'sandy' is not its"),
        ({"neither": 0.01, "clip": 0.01, "t5": 0.04, "both": 0.04, "word": 0.5}, WORD_ALONE,
         "The word alone causes the change: without the LoRA, 'sandy' in both prompts changes the velocity by 50 %"),
        ({"neither": 0.1, "clip": 0.1, "t5": 0.1, "both": 0.1, "word": 0.5}, ALWAYS,
         "The word itself changes more: 50 % (50 to 50) without the LoRA."),
        ({"neither": 1e-4, "clip": 1e-4, "t5": 1e-4, "both": 1e-4, "floor": 1e-4}, NOTHING, "has no effect here"),
        ({"neither": 0.0, "clip": 0.0, "t5": 0.0, "both": 0.0}, NOTHING, "has no effect here"),
    ],
)  # fmt: skip
def test_verdicts(given, verdict, words):
    found = reading(**given)
    assert found.verdict == verdict and words in sentence(found)


def test_sentence():
    assert sentence(reading(vary=0)) == (
        "style.safetensors is inactive without 'sandy': it changes the velocity by 5.0 % (5.0 to 5.0) without the "
        "word, and by 60 % (60 to 60) with the word in both prompts. The word activates it in the T5 prompt (83 % of "
        "the full effect), but not in the CLIP prompt (8.3 % of the full effect). Cost: 4 runs of 12 steps, plus 72 "
        "model evaluations."
    )
    assert "Use three or more seeds to see how certain this is." in sentence(reading(seeds=1))


def test_uncertain_verdicts():
    """A share near a level, whose seeds differ."""
    found = reading()
    rows = [[dict(each) for each in moments] for moments in found.squares]
    for seed, moments in enumerate(rows):
        for each in moments:
            each[lora_at(NEITHER)] = (0.19 + 0.05 * (seed - 1.5)) ** 2
    doubtful = TriggerReading(**{**vars(reading()), "squares": rows})
    assert doubtful.verdict == SLEEPS
    assert "Not certain with 4 seeds. Share of the full effect with the word in neither prompt: " in sentence(doubtful)
    assert "Not certain" not in sentence(found)


def test_a_word_that_turns_the_effect():
    """Always on, but in another direction with the word."""
    found = reading(neither=0.6, clip=0.6, t5=0.6, both=-0.6)
    assert found.verdict == ALWAYS
    assert "But the word changes what the LoRA does: the interaction is 200 % of its effect." in sentence(found)


def test_table_and_json():
    found = reading(vary=0)
    assert "| the T5 prompt | 50 % (50 to 50) | 83 % | 10 % (10 to 10) | 45 % (45 to 45) |" in table(found)
    data = as_json(found, "x", {})
    assert data["verdict"] == SLEEPS and data["woken through"] == {"clip": "no", "t5": "yes"}
    assert data["effects"][interaction(T5)]["value"] == pytest.approx(0.45)
    assert [each["sigma"] for each in data["steps"]] == [1.0, 0.5]
    assert data["prompts"]["t5"] == ["", "sandy, a star"]


def test_pictures():
    """The bar of the word in both is longest; a sheet of eight, in order."""
    page = draw.plot(reading())
    rows = {y for y in range(80, 190) if page.getpixel((draw.LEFT + 2, y)) == LIGHT.both}
    y = min(rows) + 2
    wide = sum(page.getpixel((x, y)) == LIGHT.both for x in range(draw.LEFT, page.width))
    assert wide > 0.95 * (draw.WIDTH - draw.LEFT - draw.RIGHT)
    from PIL import Image

    small = [Image.new("RGB", (40, 30), (10 * number, 0, 0)) for number in range(8)]
    sheet = draw.sheet(reading(), small)
    at = draw.MARGIN + draw.SIDE
    seen = [sheet.getpixel((at + column * (40 + draw.GAP) + 20, draw.HEAD + row * (30 + draw.GAP) + 15))[0]
            for row in range(2) for column in range(4)]  # fmt: skip
    assert seen == [10 * number for number in range(8)]
    assert draw.no_pictures().width > 100
    for given in ({"seeds": 1, "moments": 1}, {"neither": 0.0, "clip": 0.0, "t5": 0.0, "both": 0.0, "word": 0.0}):
        assert draw.plot(reading(**given)).width == page.width
