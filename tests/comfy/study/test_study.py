"""Influence Study measures each prompt as Encoder Influence does, once, and goes on where it stopped."""

import json

import pytest
import torch

from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.influence.nodes import Influence, ShowInfluence
from flux_duet.nodes.probe.study import runs
from flux_duet.nodes.probe.study.nodes import InfluenceStudy
from flux_duet.nodes.sample.nodes import MMDiTSampler

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]
LATENT = {"samples": torch.zeros(1, 16, 8, 8)}
PLAN = {"steps": 2, "sampler": "euler", "scheduler": "simple"}


@pytest.fixture
def study(model, singles):
    def run(prompts: str, **options):
        return InfluenceStudy.execute(
            model, *singles, prompts, "(none)", LATENT, 5, options.pop("seeds", 1), *PLAN.values(), 3.5, **options
        ).result

    return run


@pytest.fixture
def sampled(monkeypatch):
    """Counts the runs that are sampled."""
    seen, sample = [], runs.sample
    monkeypatch.setattr(runs, "sample", lambda *args: seen.append(1) or sample(*args))
    return seen


@pytest.mark.parametrize("null", ["empty prompt", "zeros"])
def test_a_prompts_numbers_are_encoder_influences(model, singles, study, null):
    vec, txt = (node.execute(clip, text)[0] for node, clip, text in
                ((ClipEncode, singles[0], "at night"), (T5Encode, singles[1], "a star")))  # fmt: skip
    empty = {"empty_vec": ClipEncode.execute(singles[0], "")[0], "empty_txt": T5Encode.execute(singles[1], "")[0]}
    probed, probe = Influence.execute(model, null, **empty).result
    positive = DualPrompt.execute(vec, txt, 3.5)[0]
    latent = MMDiTSampler.execute(probed, positive, LATENT, seed=5, denoise=1.0, **PLAN)[0]
    expected = json.loads(ShowInfluence.execute(probe, latent).result[6])["parts"]
    found = json.loads(study("at night || a star", null=null)[2])["prompts"][0]["seeds"][0]["parts"]
    assert found == {name: numbers and numbers[null] for name, numbers in expected.items()}


def test_it_goes_on_where_it_stopped(study, sampled):
    first = study("a star\na ring")
    again = study("a star\na ring\na heart", seeds=2)
    assert len(sampled) == 2 + 4 and json.loads(again[2])["runs_from_before"] == 2
    assert json.loads(again[2])["prompts"][0]["seeds"][0] == json.loads(first[2])["prompts"][0]["seeds"][0]
    assert study("a star\na ring", resume=False)[1] == first[1] and len(sampled) == 8
    assert len(first[1].splitlines()) == 3 and first[3].startswith("CLIP decides")


def test_without_a_prompt_the_node_says_so(study):
    with pytest.raises(ValueError, match="Influence Study: got no prompt, expected one per line"):
        study(" \n")
