"""The shipped nano models follow prompts as the model card says; `dev.py bench nano` uses many more pictures."""

import random
from statistics import mean

import numpy as np
import pytest
import torch
from safetensors import safe_open

from flux_duet.bench.nano import decode_true
from flux_duet.nano import layouts, scenes
from flux_duet.nano.pipeline import MODELS, Pipeline, Prompt


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline()


def drawn(pipeline: Pipeline, say, count: int = 24) -> list[dict[str, bool]]:
    """Verdicts on pictures of scenes that are not in the training data."""
    rng = random.Random(0)
    expected = [scenes.unseen_scene(rng, {1: 1.0}) for _ in range(count)]
    pictures = pipeline.draw([say(scene, rng) for scene in expected], seed=0)
    return [scenes.judge(scene, scenes.read(picture)) for scene, picture in zip(expected, pictures, strict=True)]


def test_four_files_of_at_most_20_mb_in_all():
    paths = [MODELS / name for name in layouts.FILES.values()]
    assert sum(path.stat().st_size for path in paths) <= 20_000_000
    with safe_open(MODELS / layouts.FILES["flux"], "pt") as file:
        assert "guidance_in.in_layer.weight" in file.keys()


@pytest.mark.slow
def test_t5_says_what_stands_where_and_clip_how_it_looks(pipeline):
    verdicts = drawn(
        pipeline, lambda scene, rng: Prompt(scenes.background_caption(scene, rng), scenes.object_caption(scene, rng))
    )
    shares = {name: mean(verdict[name] for verdict in verdicts) for name in verdicts[0]}
    wanted = {"colour": 0.9, "place": 0.9, "shape": 0.7, "background": 0.95}
    assert {name: share for name, share in shares.items() if share < wanted.get(name, 0)} == {}


@pytest.mark.slow
def test_true_pictures_can_be_read_after_the_autoencoder(pipeline):
    rng = random.Random(1)
    expected = [scenes.unseen_scene(rng, {1: 1.0}) for _ in range(24)]
    seen = [scenes.read(picture) for picture in decode_true(pipeline, expected)]
    assert mean(scenes.judge(*pair)["everything"] for pair in zip(expected, seen, strict=True)) >= 0.9


def test_a_prompt_gives_the_same_picture_alone_and_among_others(pipeline):
    prompts = [Prompt("at night", "a big yellow star"), Prompt("on pink paper", "a small red circle on the left")]
    both = pipeline.sample(prompts, seed=3, steps=4)
    alone = pipeline.sample(prompts[:1], seed=3, steps=4)
    assert torch.allclose(both[:1], alone, atol=2e-3)  # the order of summation differs


@pytest.mark.slow
def test_guidance_changes_the_picture(pipeline):
    prompt = [Prompt("at night", "a big yellow star")]
    low, high = (pipeline.draw(prompt, seed=0, guidance=guidance).astype(int) for guidance in (1.0, 4.0))
    assert np.abs(low - high).max() > 20
